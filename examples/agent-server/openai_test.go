package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestEndpoint runs the agent in front of something that speaks OpenAI's API.
func TestEndpoint(t *testing.T) {
	tests := []struct {
		name   string
		reply  string // the events of the endpoint; "" for status 500
		status int    // of POST /agent
		answer string
		last   string // event of GET /agent/stream
	}{
		{"answer", `
data: {"choices":[{"delta":{"role":"assistant"}}]}

: a comment
data: {"choices":[{"delta":{"content":"Hello"}}]}

data:{"choices":[{"delta":{"content":" there"}}]}
data: {"choices":[],"usage":{}}
data: [DONE]
`, 200, "Hello there", "done"},
		{"cut off", "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n", 502, "", "error"},
		{"error in the stream", "data: {\"error\":{\"message\":\"overloaded\"}}\n", 502, "", "error"},
		{"no JSON", "data: oops\n", 502, "", "error"},
		{"refusal", "", 502, "", "error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var in struct {
					Model    string
					Stream   bool
					Messages []struct{ Role, Content string }
				}
				if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
					t.Error(err)
				}
				if r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer secret" ||
					in.Model != "small" || !in.Stream || len(in.Messages) != 1 || in.Messages[0].Content != "hi" {
					t.Errorf("the endpoint is asked %s %+v", r.URL.Path, in)
				}
				if tt.reply == "" {
					http.Error(w, "no", 500)
					return
				}
				fmt.Fprint(w, tt.reply)
			}))
			defer api.Close()
			p := start(t, []string{"OPENAI_BASE_URL=" + api.URL + "/v1/", "OPENAI_API_KEY=secret", "OPENAI_MODEL=small"})
			res, body := p.do(t, "POST", "/agent", `{"prompt":"hi"}`)
			var out struct{ Answer, Error string }
			if err := json.Unmarshal([]byte(body), &out); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tt.status || out.Answer != tt.answer || (out.Error == "") != (tt.status == 200) {
				t.Errorf("%s: %s", res.Status, body)
			}
			if strings.Contains(body, "secret") || strings.Contains(body, api.URL) {
				t.Errorf("the answer gives away the endpoint: %s", body)
			}
			_, body = p.do(t, "GET", "/agent/stream?prompt=hi", "")
			next, last := events(t, strings.NewReader(body)), ""
			for event := next(); event != "end"; event = next() {
				last, _, _ = strings.Cut(event, " ")
			}
			if last != tt.last {
				t.Errorf("the stream ends with %q, want %q:\n%s", last, tt.last, body)
			}
		})
	}
}
