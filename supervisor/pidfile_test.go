package supervisor

import (
	"os"
	"strings"
	"testing"
)

func TestPidfile(t *testing.T) {
	path := t.TempDir() + "/pid"
	first, err := openPidfile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openPidfile(path); err == nil || !strings.Contains(err.Error(), "held by a running master") {
		t.Errorf("a held pid file gives %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := openPidfile(path)
	if err != nil {
		t.Fatal(err)
	}
	first.close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the pid file of another master was removed: %v", err)
	}
	second.close()
	if _, err := os.Stat(path); err == nil {
		t.Error("the own pid file was left behind")
	}
	if _, err := openPidfile(t.TempDir() + "/missing/pid"); err == nil {
		t.Error("a pid file in a folder that does not exist was opened")
	}
}
