//go:build unix

package worker

import "github.com/gosuper/gosuper/worker/scoreboard"

// beat gives a sign of life on the board twice as often as the master looks for one:
// it says that this process gets to run and that its scheduler works.
func (p *process) beat() {
	if p.watchdog > 0 {
		p.board.Beat()
		p.beats.By(scoreboard.Monotonic() + int64(p.watchdog/2))
	}
}
