package fleet

import (
	"testing"
	"time"
)

func TestHorizon(t *testing.T) {
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	f := New(1, Settings{
		Workers: 2, Surge: Surge{Count: 1}, Ready: ReadyNotify,
		StopDelay: 5 * time.Second, GracefulTimeout: 30 * time.Second, DrainTimeout: 50 * time.Second, StartupTimeout: 20 * time.Second,
		BackoffMin: 100 * time.Second, BackoffMax: 100 * time.Second, StartupAttempts: 9,
	}, func() float64 { return 0 })
	for _, step := range []struct {
		at   time.Duration
		ev   Event
		want time.Duration // of the horizon; -1: none
	}{
		{0, Tick{}, 20*time.Second + AbortGrace},
		{1 * time.Second, SaidReady{ID: 1}, 20*time.Second + AbortGrace},
		{2 * time.Second, Extend{2, time.Minute}, 62*time.Second + AbortGrace},
		{3 * time.Second, SaidReady{ID: 2}, -1},
		{4 * time.Second, Exited{2}, 24*time.Second + AbortGrace}, // at once
		{5 * time.Second, Exited{3}, 75*time.Second + AbortGrace}, // after 50 s of backoff
		{6 * time.Second, Exited{1}, 75*time.Second + AbortGrace},
		{7 * time.Second, SaidReady{ID: 4}, 75*time.Second + AbortGrace},
		{8 * time.Second, ScaleBy{-1}, -1},
		{9 * time.Second, Recycle{4, ReasonCrash}, 29*time.Second + AbortGrace},
		{10 * time.Second, SaidReady{ID: 5}, 60*time.Second + AbortGrace}, // the drain of its predecessor
		{11 * time.Second, Stop{}, 46*time.Second + KillGrace},
		{12 * time.Second, Stop{Quick: true}, 13*time.Second + max(KillGrace, AbortGrace)},
		{13 * time.Second, Tick{}, 13*time.Second + KillGrace},
	} {
		f.Step(start.Add(step.at), step.ev)
		got, want := f.Horizon(), start.Add(step.want)
		if step.want < 0 {
			want = time.Time{}
		}
		if !got.Equal(want) {
			t.Errorf("after %v, %T: horizon %v, want %v", step.at, step.ev, got.Sub(start), step.want)
		}
	}
}
