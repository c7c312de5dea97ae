package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// held names the test that holds each cell of the README's table of what a worker gets,
// a row by the beginning of its first cell, for plain, Go, Python, Node and the proxy,
// whose front is a worker in Go.
var held = map[string][5]string{
	"sockets bound once":   {"TestForeignServers", "TestReloadsLoseNothing", "test_reload_under_load", "TestRegisterReloadsLoseNothing", "TestProxyReloadsLoseNothing"},
	"respawn after":        {"TestKinds", "TestKinds", "TestKinds", "TestKinds", "TestKinds"},
	"reload with a canary": {"TestKinds", "TestKinds", "TestKinds", "TestKinds", "TestKinds"},
	"says when it is ready": {
		"TestPlainReadiness", "TestKinds", "TestKinds", "TestKinds", "TestProxyMistakes",
	},
	"told to finish": {
		"TestForeignServers", "TestRequestInFlightFinishesOnTERM", "test_requests_and_background_work_are_waited_for", "a drain drops nothing", "TestProxyReloadsLoseNothing",
	},
	"`max_requests`": {
		"TestUnheededSettings", "TestRecyclingLosesNothing", "test_max_requests_under_load", "workers that ask to be replaced are", "TestProxySettings",
	},
	"`max_failures`": {
		"TestReasonsOfEachKind", "TestFailingWorkerIsReplaced", "test_who_fails_while_others_do_not_is_replaced", "a worker that fails while others do not is replaced",
		"TestReasonsOfEachKind",
	},
	"`spares`":  {"TestPlainWorkersAreNoSpares", "TestSpareTakesOver", "TestSpareTakesOver", "TestSpareTakesOver", "TestSpareTakesOver"},
	"`preload`": {"TestNoLoader", "TestNoLoader", "test_workers_are_forked", "TestNoLoader", "TestNoLoader"},
	"`max_worker_memory`": {
		"TestKinds", "TestLeaksLoseNothing", "TestFastAPILeaks", "TestKinds", "TestProxySettings",
	},
	"`user`":      {"TestKindsUser", "TestWorkerCredentials", "TestKindsUser", "TestKindsUser", "TestProxyUser"},
	"`keepalive`": {"TestUnheededSettings", "TestKeepaliveOfEachKind", "TestKeepaliveOfEachKind", "TestKeepaliveOfEachKind", "TestKeepaliveOfEachKind"},
	"`timeout`": {
		"TestUnheededSettings", "TestTimeoutHitsNobodyElse", "test_stream_and_request_timeout", "limits and the access log", "TestProxySettings",
	},
	"a request that does not end": {
		"TestWatchdog", "TestIncidentHasStacks", "test_blocked_worker_answers_before_it_is_killed", "a worker with a blocked event loop owes nobody an answer", "TestProxyLimits",
	},
	"`worker_connections`": {
		"TestForeignServers", "TestWorkerConnections", "test_worker_connections", "a worker that is as busy as it may be leaves connections to others", "TestProxySettings",
	},
	"access log": {"TestUnheededSettings", "TestTLS", "test_tls", "TestProtocols", "TestProxySettings"},
	"requests, those in flight": {
		"TestPlainFleetIsNotIdle", "TestMetricsOnlyGrow", "test_timeout", "a fleet of servers", "TestProxyLimits",
	},
	"ends with the master": {"TestKinds", "TestKinds", "TestKinds", "TestKinds", "TestKinds"},
}

// TestReadmeTable: each cell of the table has its test.
func TestReadmeTable(t *testing.T) {
	_, table, found := strings.Cut(read(t, "README.md"), "\n| | plain | Go | Python | Node | proxy |\n| --- | --- | --- | --- | --- | --- |\n")
	if !found {
		t.Fatal("README.md has no table of what a worker gets")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	tests := names(t)
	rows := strings.Split(table, "\n")
	for _, row := range rows {
		what, cells, _ := strings.Cut(strings.Trim(row, "| "), " | ")
		if n := strings.Count(cells, "|") + 1; n != 5 {
			t.Errorf("%q has %d cells", what, n)
		}
		by, known := [5]string{}, 0
		for key := range held {
			if strings.HasPrefix(what, key) {
				by, known = held[key], known+1
			}
		}
		if known != 1 {
			t.Errorf("%q has %d entries here", what, known)
		}
		for _, name := range by {
			if !tests[name] {
				t.Errorf("%q: there is no test %q", what, name)
			}
		}
	}
	if len(rows) != len(held) {
		t.Errorf("the table has %d rows, and %d are known", len(rows), len(held))
	}
}

// names are those of the tests of workers, of any language.
func names(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^(?:func (Test\w+)\(t |(?:async )?def (test_\w+)\(|test\('([^']+)')`)
	for _, pattern := range []string{"cmd/gosuper/e2e/*_test.go", "worker/*_test.go", "worker/proxy/*_test.go", "worker/python/tests/test_*.py", "worker/node/test/*.test.cjs"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatal("no tests in ", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
				names[m[1]+m[2]+m[3]] = true
			}
		}
	}
	return names
}
