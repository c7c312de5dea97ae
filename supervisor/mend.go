//go:build linux

package supervisor

import (
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// renewPause is how long after one renewal of a unix socket another has to wait: to
// each of them belongs the replacement of all workers that hold the old one.
const renewPause = 10 * time.Second

// mending is the care for what workers do to the sockets they share.
type mending struct {
	renewed time.Time // when a unix socket was renewed last
	look    time.Time // when to look again; zero: when something happens
}

// mend looks whether the sockets of the workers still take connections, and sees to
// it that they do. ended are the workers that have just gone, one of which is to
// blame if they do not.
func (s *Supervisor) mend(ended ...*worker) {
	s.mending.look = time.Time{}
	if s.fleet.Closed() {
		return
	}
	for _, r := range s.revisions {
		mended, err := r.sockets.Mend()
		s.warnDamages(mended, ended)
		if err != nil {
			s.log.Error("cannot mend a socket", describe(err)...)
		}
	}
	s.renew(ended)
}

// renew replaces unix sockets that nobody can connect to, and then the workers that
// have the old ones.
func (s *Supervisor) renew(ended []*worker) {
	if next := s.mending.renewed.Add(renewPause); time.Now().Before(next) {
		s.mending.look = next
		return
	}
	for _, r := range s.revisions {
		renewed, damages, err := r.sockets.Renew()
		s.warnDamages(damages, ended)
		if err != nil {
			s.log.Error("cannot renew a socket", describe(err)...)
		}
		if renewed.Len() == 0 {
			continue
		}
		s.mending.renewed = time.Now()
		s.mending.look = s.mending.renewed.Add(renewPause) // those that are replaced now may do the same
		s.replaceHolders(renewed)
	}
}

// replaceHolders replaces the workers that were given what is renewed by now.
func (s *Supervisor) replaceHolders(renewed *socket.Set) {
	for w := range s.roster.All() {
		if !w.gone && w.revision.sockets.Bits(renewed) != 0 {
			s.note(fleet.Recycle{ID: w.ID, Reason: fleet.ReasonRecycle})
		}
	}
	s.step()
}

// warnDamages names what was mended, and who is to blame.
func (s *Supervisor) warnDamages(damages []socket.Damage, ended []*worker) {
	var ids []int
	for _, w := range ended {
		ids = append(ids, w.ID)
	}
	for _, d := range damages {
		fields := []zap.Field{zap.String("bind", d.URL), zap.String("problem", d.What)}
		if len(ids) > 0 {
			fields = append(fields, zap.Ints("ended", ids))
		}
		s.log.Warn("a socket that all workers share took no more connections, and does again", fields...)
	}
}

// lookAfter looks again at what could not be mended before.
func (s *Supervisor) lookAfter(now time.Time) {
	if look := s.mending.look; !look.IsZero() && !look.After(now) {
		s.mend()
	}
}
