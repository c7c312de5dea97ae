package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// What one request may ask for.
const (
	maxBody   = 64 << 10 // bytes
	maxPrompt = 16 << 10 // bytes
	maxTokens = 1000
	maxDelay  = 10 * time.Second
)

// shuttingDown is what the clients of streams read when this worker is told to
// finish.
const shuttingDown = "Server shutting down"

var errDraining = errors.New("draining")

// server answers prompts with a model.
type server struct {
	model    model
	draining <-chan struct{} // closed when this worker is told to finish
}

func (s *server) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /health/ready", s.ready)
	mux.HandleFunc("POST /agent", s.answer)
	mux.HandleFunc("GET /agent/stream", s.stream)
}

// withPID says on every answer which worker gave it.
func withPID(next http.Handler) http.Handler {
	pid := strconv.Itoa(os.Getpid())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Worker-Pid", pid)
		next.ServeHTTP(w, r)
	})
}

// health says that the process works, which it also does while draining.
func (s *server) health(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready says whether new requests should come here.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.draining:
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "draining"})
	default:
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	}
}

// answer gives the whole answer at once. It does not look at draining: requests in
// flight are waited for.
func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Prompt string `json:"prompt"`
		Tokens *int   `json:"tokens"`
		Delay  string `json:"delay"` // between two tokens, "50ms"; none if empty
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
		writeError(w, http.StatusBadRequest, fmt.Errorf("cannot read the request: %w", err))
		return
	}
	tokens := 20
	if in.Tokens != nil {
		tokens = *in.Tokens
	}
	q, err := newQuestion(in.Prompt, tokens, in.Delay, 0)
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	var text strings.Builder
	for token, err := range s.model.generate(r.Context(), q) {
		if err != nil {
			if r.Context().Err() == nil {
				log.Printf("POST /agent: %v", err)
			}
			writeError(w, http.StatusBadGateway, errors.New("the model did not answer"))
			return
		}
		text.WriteString(token)
	}
	writeJSON(w, http.StatusOK, map[string]string{"answer": strings.TrimSpace(text.String())})
}

// stream gives the answer token by token as server-sent events: "token" for each,
// then "done", or "error" if the model fails or this worker has to finish.
func (s *server) stream(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	tokens := 20
	if text := query.Get("tokens"); text != "" {
		var err error
		if tokens, err = strconv.Atoi(text); err != nil {
			writeError(w, http.StatusBadRequest, errors.New("tokens is not a number"))
			return
		}
	}
	q, err := newQuestion(query.Get("prompt"), tokens, query.Get("delay"), 50*time.Millisecond)
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}

	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	go func() {
		select {
		case <-s.draining:
			cancel(errDraining)
		case <-ctx.Done():
		}
	}()

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	if http.NewResponseController(w).Flush() != nil {
		return
	}
	n := 0
	for token, err := range s.model.generate(ctx, q) {
		if err != nil {
			switch {
			case r.Context().Err() != nil: // nobody listens any more
			case errors.Is(context.Cause(ctx), errDraining):
				writeEvent(w, "error", map[string]string{"error": shuttingDown})
			default:
				log.Printf("GET /agent/stream: %v", err)
				writeEvent(w, "error", map[string]string{"error": "the model did not answer"})
			}
			return
		}
		if writeEvent(w, "token", map[string]string{"text": token}) != nil {
			return
		}
		n++
	}
	writeEvent(w, "done", map[string]int{"tokens": n})
}

// newQuestion checks what a client asks for.
func newQuestion(prompt string, tokens int, delay string, defaultDelay time.Duration) (question, error) {
	q := question{prompt: prompt, tokens: tokens, delay: defaultDelay}
	if delay != "" {
		var err error
		if q.delay, err = time.ParseDuration(delay); err != nil {
			return q, errors.New(`delay is not a duration such as "50ms"`)
		}
	}
	switch {
	case strings.TrimSpace(prompt) == "":
		return q, errors.New("prompt is empty")
	case len(prompt) > maxPrompt:
		return q, fmt.Errorf("prompt is longer than %d bytes", maxPrompt)
	case q.tokens < 1 || q.tokens > maxTokens:
		return q, fmt.Errorf("tokens is not within 1 and %d", maxTokens)
	case q.delay < 0 || q.delay > maxDelay:
		return q, fmt.Errorf("delay is not within 0s and %v", maxDelay)
	}
	return q, nil
}

func writeError(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // fails when the client has gone
}

// writeEvent sends one event, and fails when the client has gone.
func writeEvent(w http.ResponseWriter, name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, text); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}
