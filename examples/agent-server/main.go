// Agent-server is a small agent behind HTTP, and an example of a server for
// gosuper: the one line that makes it one is worker.ListenAndServe in main.
//
// Run alone it serves -addr; `gosuper -c supervisor.toml` runs several of it on one
// socket and replaces them without losing a request. Its answers come from a text
// generator that needs nothing and always says the same to the same prompt, or from
// an OpenAI-compatible endpoint:
//
//	OPENAI_BASE_URL=https://api.openai.com/v1 OPENAI_API_KEY=... OPENAI_MODEL=gpt-4.1-mini agent-server
package main

import (
	"cmp"
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/gosuper/gosuper/worker"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8000", "`address` to serve when run alone: host:port or unix:/path")
	debug := flag.Bool("debug", false, "also serve /debug/, with which anybody can break this process")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(flag.CommandLine.Output(), "agent-server: error: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}

	s := &server{model: modelFromEnvironment(), draining: worker.Draining()}
	mux := http.NewServeMux()
	s.register(mux)
	if *debug {
		registerDebug(mux)
	}
	if err := worker.ListenAndServe(*addr, withPID(mux)); err != nil {
		fmt.Fprintln(os.Stderr, "agent-server: error:", err)
		os.Exit(1)
	}
}

// modelFromEnvironment returns the endpoint that OPENAI_BASE_URL names, or the
// built-in generator.
func modelFromEnvironment() model {
	base := os.Getenv("OPENAI_BASE_URL")
	if base == "" {
		return generator{}
	}
	return newEndpoint(base, os.Getenv("OPENAI_API_KEY"), cmp.Or(os.Getenv("OPENAI_MODEL"), "gpt-4.1-mini"))
}
