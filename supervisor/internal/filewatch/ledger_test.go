package filewatch

import (
	"fmt"
	"testing"
	"time"
)

// A script of builds and changes: "build" and "end" are those of a build, "FILE"
// changes, "+FILE" is made; "|" lets more than EventDelay pass.
func TestLedger(t *testing.T) {
	for _, tc := range []struct {
		name   string
		script []string
		want   []string // of each change: changed, and whether for sure; or "-"
	}{
		{"no build", []string{"a", "a"}, []string{"a sure", "a sure"}},
		{"between builds", []string{"build", "end", "|", "a"}, []string{"a sure"}},
		{"made by a build", []string{"build", "+out", "out", "end", "build", "out", "end", "|", "out"}, []string{"-", "-", "-", "out sure"}},
		{"late news of a build", []string{"build", "end", "+out"}, []string{"-"}},
		{"was there and is written by each build", []string{"build", "out", "end", "build", "out", "end", "build", "out", "end"}, []string{"out", "-", "-"}},
		{"several batches of one build", []string{"build", "out", "out", "out", "end"}, []string{"out", "out", "out"}},
		{"an edit during a build, once", []string{"build", "a", "end", "build", "end", "build", "a", "end"}, []string{"a", "a"}},
		{"a known source", []string{"a", "build", "a", "build", "a", "end"}, []string{"a sure", "a sure", "a sure"}},
		{"a source that builds write, too", []string{"a", "build", "a", "end", "build", "a", "end", "build", "a", "end", "build", "a", "end", "build", "a"}, []string{"a sure", "a sure", "a sure", "a sure", "-", "-"}},
		{"expected", []string{"build", "bin", "end", "|", "bin"}, []string{"-", "bin sure"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var l Ledger
			l.Expect("bin")
			now := time.Unix(1000, 0)
			var got []string
			for _, word := range tc.script {
				now = now.Add(10 * time.Millisecond)
				switch word {
				case "build":
					l.Begin(now)
				case "end":
					l.End(now)
				case "|":
					now = now.Add(EventDelay)
				default:
					c := Change{Path: word, At: now}
					if word[0] == '+' {
						c.Path, c.New = word[1:], true
					}
					v := l.Judge([]Change{c})
					switch {
					case v.Changed == "":
						got = append(got, "-")
					case v.Sure:
						got = append(got, v.Changed+" sure")
					default:
						got = append(got, v.Changed)
					}
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("%v\ngives %q\nwant  %q", tc.script, got, tc.want)
			}
		})
	}
}
