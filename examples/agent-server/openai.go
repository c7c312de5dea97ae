package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"
)

// endpoint is a model behind an OpenAI-compatible API.
type endpoint struct {
	url, key, name string
	client         *http.Client
}

func newEndpoint(base, key, name string) *endpoint {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = time.Minute // what follows may take its time
	transport.MaxIdleConnsPerHost = 100
	return &endpoint{
		url:    strings.TrimRight(base, "/") + "/chat/completions",
		key:    key,
		name:   name,
		client: &http.Client{Transport: transport},
	}
}

func (e *endpoint) generate(ctx context.Context, q question) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		body, err := e.ask(ctx, q)
		if err != nil {
			yield("", err)
			return
		}
		defer body.Close()
		events := bufio.NewScanner(body)
		events.Buffer(nil, 1<<20)
		for events.Scan() {
			data, ok := strings.CutPrefix(events.Text(), "data:")
			if !ok {
				continue // empty lines, comments, names of events
			}
			data = strings.TrimSpace(data)
			if data == "[DONE]" {
				return
			}
			token, err := parseChunk(data)
			if err != nil {
				yield("", err)
				return
			}
			if token != "" && !yield(token, nil) {
				return
			}
		}
		err = events.Err()
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		yield("", fmt.Errorf("cannot read the model's answer: %w", err))
	}
}

// ask sends the question and returns the stream of its answer.
func (e *endpoint) ask(ctx context.Context, q question) (io.ReadCloser, error) {
	in, err := json.Marshal(map[string]any{
		"model":      e.name,
		"messages":   []map[string]string{{"role": "user", "content": q.prompt}},
		"max_tokens": q.tokens,
		"stream":     true,
	})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(in))
	if err != nil {
		return nil, fmt.Errorf("cannot ask the model: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	if e.key != "" {
		req.Header.Set("Authorization", "Bearer "+e.key)
	}
	res, err := e.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the model: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		return nil, fmt.Errorf("cannot ask the model: %s: %s", res.Status, bytes.TrimSpace(text))
	}
	return res.Body, nil
}

// parseChunk returns the text of one event, which may be empty.
func parseChunk(data string) (string, error) {
	var chunk struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(data), &chunk); err != nil {
		return "", fmt.Errorf("cannot read the model's answer: %w", err)
	}
	if chunk.Error != nil {
		return "", errors.New("the model failed: " + chunk.Error.Message)
	}
	if len(chunk.Choices) == 0 {
		return "", nil
	}
	return chunk.Choices[0].Delta.Content, nil
}
