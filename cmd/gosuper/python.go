package main

import (
	"path/filepath"
	"strings"
)

// pythonHint recognises in what Python says that it lacks the package.
func pythonHint(lines []string) string {
	for _, line := range lines {
		python, rest, _ := strings.Cut(line, ": ")
		if filepath.IsAbs(python) && strings.Contains(strings.ReplaceAll(rest, "'", ""), "No module named gosuper") {
			return "the package is not installed for this Python: " + python + ` -m pip install "gosuper[uvicorn]"`
		}
	}
	return ""
}

// startingHint recognises in the last lines of a worker that was not ready in time
// where a Python application stood: in its lifespan, or still being loaded.
func startingHint(lines []string) string {
	if n := len(lines); n > 0 && strings.HasSuffix(lines[n-1], "Waiting for application startup.") {
		return "the application's lifespan has not come to its yield: what it waits for is missing, or needs a longer startup_timeout"
	}
	for _, line := range lines {
		if strings.Contains(line, "/gosuper/_runner.py") {
			return "the application was still being loaded: the stack says where it stood; what takes long needs a longer startup_timeout"
		}
	}
	return ""
}
