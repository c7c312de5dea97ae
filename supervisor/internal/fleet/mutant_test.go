package fleet

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mutants are one-line mistakes in the brain, and the law each of them breaks.
var mutants = []struct{ file, old, new, law string }{
	{"fleet.go", "return x == w }", "return false && x == w }", "acted on the dead"},
	{"spawn.go", "if f.surge() > 0 && leasable {", "if leasable && r == nil {", "retired below strength"},
	{"retire.go", "case !w.serving() || canary:", "case canary:", "stop signal sent twice"},
	{"end.go", "		case Draining:\n			f.expire(w)\n", "", "told to stop and not killed in time"},
	{"end.go", "		case Aborted:\n			f.kill(w, ReasonGrace)\n", "", "aborted and not killed in time"},
	{"end.go", "			f.abort(w, ReasonStartup)\n", "", "startup timeout ignored"},
	{"spawn.go", "!f.loaded(f.current, w.Recycle) || f.surge() > 0 && f.unclaimed(r) > 0 && leasable && f.fit(r, i) != tight {\n			continue", "leasable || f.surge() >= 0 {\n			continue", "stuck worker left alone"},
	{"end.go", "	if w.Stuck && w.Innocents == 0 {", "	if false {", "grace too long"},
	{"end.go", "sooner(w.bound, sooner(w.due, f.now.Add(StuckGrace)))", "sooner(w.bound, f.now.Add(StuckGrace))", "grace prolonged"},
	{"end.go", "	case due.After(w.due):\n		f.do(Prolong{w.ID, due})\n", "", "aborted early"},
	{"end.go", "	w.bound = sooner(w.bound, until)\n", "", "grace prolonged"},
	{"record.go", "		w.bound = sooner(w.bound, f.now.Add(f.grace(w)))\n", "", "grace prolonged"},
	{"record.go", "		f.pace(w)\n		return\n", "		return\n", "killed before its grace was over"},
	{"deadline.go", "			w.bound = w.due //", "			//", "grace ended in the past"},
	{"end.go", "return w.Stuck && !f.quick }", "return !f.quick }", "acted on the dead"},
	{"end.go", "return w.Stuck && !f.quick }", "return w.Stuck && !f.stopping }", "killed without being asked for stacks"},
	{"stop.go", "	case w.State == Aborted && f.AsksForStacks(w):\n		w.due = sooner(w.due, f.stopBy.Add(AbortGrace))\n", "", "killed before its stacks were printed"},
	{"worker.go", "s.until.After(now)", "s.until.After(now.Add(time.Second))", "spawn inside a backoff"},
	{"bury.go", "delay *= 2", "delay += 0", "backoff too short"},
	{"room.go", "return f.current.target + f.surge() -", "return f.current.target + f.surge() + 1 -", "more than workers + surge alive"},
	{"room.go", "r.taken[w.Place] = true", "r.taken[w.Place] = w.serving()", "place shared"},
	{"room.go", "return f.free(r) - r.missing", "return f.free(r)", "more replacements at once than surge"},
	{"spawn.go", "n > 0 && r.starting >= n {", "n > 0 && r.starting < 0 {", "more boots at once than start_parallel"},
	{"spawn.go", "	r.starting++\n", "", "more boots at once than start_parallel"},
	{"spawn.go", "	f.drain(w, why)\n	r.whole, r.still = false, false\n", "	f.drain(w, why)\n", "retired below strength"},
	{"end.go", "	if f.late {\n", "	if f.late {\n		for _, w := range f.workers {\n			if w.State == Draining && !w.due.After(f.now) {\n				f.expire(w)\n			}\n		}\n", "late loop punished"},
	{"deadline.go", "		later(&w.aliveAt)\n", "", "late loop believed"},
	{"rollout.go", "	case w.State == Ready:\n		f.accept(c)", "	default:\n		f.accept(c)", "accepted without a ready worker"},
	{"rollout.go", "if r.failures >= r.StartupAttempts ||", "if r.failures > r.StartupAttempts ||", "failing revision not rolled back"},
	{"rollout.go", "|| r.crashes >= r.StartupAttempts", "", "failing revision not rolled back"},
	{"rollout.go", "if s.failures >= r.StartupAttempts || s.early", "if s.early", "failing revision not rolled back"},
	{"rollout.go", "|| s.early >= r.StartupAttempts", "", "failing revision not rolled back"},
	{"bury.go", "			s.crashes, s.early = 0, 0\n", "", "backoff too long"},
	{"bury.go", "		f.current.crashes = 0\n", "", "rolled back without need"},
	{"rollout.go", "	if f.everReady || f.fallback", "	if f.fallback", "gave up after something was ready"},
	{"retire.go", "if w != keep && !f.lingers(w) {", "if w != keep && !f.lingers(w) && w.Recycle != \"\" {", "reload done with an old worker serving"},
	{"stop.go", "		f.hasten(w, f.stopBy)\n", "", "grace prolonged"},
	{"record.go", "			f.blame(w, f.verdict(w))\n", "", "spawn inside a backoff"},
	{"record.go", "			f.do(FoundFailed{w.ID, w.due})\n", "", "failed worker taken for a good one"},
	{"spawn.go", "	if f.stopping {\n		return\n	}\n	if c", "	if f.gaveUp != 0 {\n		return\n	}\n	if c", "spawn while stopping"},
	{"stop.go", "if w.State != Killed && !w.due.After(f.now) {", "if w.State != Killed {", "killed before its grace was over"},
	{"stop.go", "(len(f.workers)+len(f.loaders) == 0 ||", "(len(f.workers)+len(f.loaders) <= 1 ||", "halt with a living worker"},
	{"deadline.go", "if t.After(f.now) &&", "if !t.IsZero() &&", "deadline in the past"},
	{"end.go", "		f.close(f.now.Add(f.current.GracefulTimeout))\n", "", "stop did not begin in time"},
	{"stop.go", "			f.stopAt = f.now.Add(f.current.StopDelay)\n", "			f.stopAt = f.now.Add(f.current.StopDelay / 2)\n", "stopped before its delay was over"},
	{"spawn.go", "		return // what serves is good enough for the time that is left\n", "", "replaced during the delay"},
	{"spawn.go", "if f.empty(i) && !s.inBackoff(", "if f.empty(i) && !f.Stopping() && !s.inBackoff(", "crash not replaced during the delay"},
	{"fleet.go", "		f.up = true\n", "", "not quiescent"},
	{"spawn.go", "return w.Revision < f.current.number && f.candidate == nil && !r.faltering", "return false", "did not converge"},
	{"spawn.go", "func(w *Worker) bool { return w.Revision > f.current.number },", "", "did not converge"},
	{"end.go", "if w.oversized && w.State != Killed {", "if w.oversized && w.told && w.State != Killed {", "oversized worker left alive"},
	{"end.go", "if w.oversized && w.State != Killed {", "if w.State != Killed {", "killed without need"},
	{"bury.go", "	if s.crashes < 2 {\n", "	if s.crashes < 2 || w.oversized {\n", "backoff too short"},
	{"end.go", "!w.expires.After(f.now) {", "w.expires.After(f.now) {", "replaced before its lifetime was over"},
	{"bury.go", "	return ReasonCrash\n", "	return ReasonGrace\n", "spawned for a reason that spawns nobody"},
	{"spawn.go", "pioneer != i && s.failures > 0", "pioneer != i && s.failures > 1", "several slots tried again before anything was ready"},
	{"recycle.go", "		w.Recycle = ReasonLifetime\n", "", "lifetime ignored"},
	{"record.go", "f.now.Sub(f.lateAt) < Lateness && f.now.Sub(w.seenStuck) < Lateness", "f.now.Sub(f.lateAt) < Lateness", "what looks saw for so long was not acted on"},
	{"record.go", "f.now.Sub(f.lateAt) < Lateness && f.now.Sub(w.seenStuck) < Lateness", "false", "late loop punished"},
	{"record.go", "if w.seenStuck.IsZero() {", "if w.seenStuck.IsZero() || f.late {", "what looks saw for so long was not acted on"},
	{"record.go", "		w.seenStuck = time.Time{}\n", "		w.seenStuck = w.seenStuck.Add(0 * time.Second)\n", "late loop punished"},
	{"deadline.go", "		due = l.Due\n", "", "late loop punished"},
	{"deadline.go", "now.Sub(f.lateSince) < LateGrace", "true", "told to stop and not killed in time"},
	{"record.go", "			w.Stuck, w.Innocents = false, 0\n			f.do(Recovered{w.ID})\n", "", "held to be stuck when it no longer was"},
	{"condition.go", "s.crashes < 2 ||", "s.crashes < 3 ||", "crash loop kept quiet"},
	{"condition.go", "f.current.ResetAfter == 0 || f.stayed", "f.current.ResetAfter == 0 || !f.stayed", "crash loop kept quiet"},
	{"condition.go", "			if w.State == Ready {", "			if w.State <= Ready {", "other workers said to be ready than are"},
	{"condition.go", "case sum.Ready == sum.Target:", "case sum.Ready > 0:", "a degraded fleet called ready"},
	{"condition.go", "} else if f.up && (", "} else if (", "a starting fleet called degraded"},
	{"condition.go", "	case f.Reloading():\n", "	case f.candidate != nil:\n", "a reloading fleet called"},
	{"ready.go", "		f.withdraw(w)\n", "", "ready against its header"},
	{"ready.go", "	case w.State == Ready:\n		f.prove(w)\n", "", "acted on the dead"},
	{"ready.go", "if w.said || w.cooperates {", "if w.cooperates {", "the order of signs matters"},
	{"ready.go", "case w.State == Starting && r.Ready == ReadyAuto:", "case w.State == Starting:", "the order of signs matters"},
	{"ready.go", "&& w.waits &&", "&&", "ready without a reason"},
	{"ready.go", "r.Ready == ReadyAuto && w.waits", "r.Ready != ReadyNotify && w.waits && r.Ready == ReadyNotify", "its looks do not count"},
	{"ready.go", "(r.Ready != ReadyAlive || w.reserve):", "(r.Ready != ReadyAlive || w.reserve) && w.cooperates:", "its word does not count"},
	{"ready.go", "by.After(w.due) {", "by.After(w.due) && w.cooperates {", "taken for a plain worker too early"},
	{"../guard/guard.go", "			if !sight.Overdue || slot.Start < w.overdue.Start {\n				w.overdue = slot\n			}\n			sight.Overdue = true\n", "			sight.Overdue = slot.Start != w.overdue.Start\n			w.overdue = slot\n", "what hangs is not seen"},
	{"../guard/guard.go", "		w.charge, w.kept = c, true\n", "		if w.kept = true; w.charge.ID == 0 {\n			w.charge = c\n		}\n", "what hangs is not seen"},
	{"../guard/guard.go", "w.Due.IsZero() && (w.charge.Header || w.Beats)", "w.Due.IsZero() && w.BeatAt.IsZero()", "what hangs is not seen"},
	{"worker.go", "(w.State == Ready || w.State == Draining)", "w.State == Draining", "what hangs is not seen"},
	{"fleet.go", "len(f.actions) > 0 || slices.ContainsFunc(events, moves)", "len(f.actions) > 0", "what hangs is not seen"},
	{"fleet.go", "len(f.actions) > 0 || slices.ContainsFunc(events, moves)", "slices.ContainsFunc(events, moves)", "what hangs is not seen"},
	{"recycle.go", "cmp.Or(f.current.ResetAfter,", "cmp.Or(f.current.ResetAfter/2,", "wish granted too soon"},
	{"recycle.go", "f.current.ResetAfter, f.current.BackoffMax)", "f.current.ResetAfter, 1)", "wish granted too soon"},
	{"recycle.go", "w.Recycle, f.slot(w).wished = w.wish, f.now", "w.Recycle = w.wish", "wish granted too soon"},
	{"bury.go", "slot{revision: r.number, wished: s.wished, lease: s.lease}", "slot{revision: r.number, lease: s.lease}", "wish granted too soon"},
	{"fleet.go", "slot{why: s.why, wished: s.wished, lease: s.lease, closed: s.closed}", "slot{why: s.why, lease: s.lease, closed: s.closed}", "wish granted too soon"},
	{"deadline.go", "		consider(f.grantAt(w))\n", "", "wish forgotten"},
	{"recycle.go", "!w.serving() || w.Recycle", "!w.serving() || w.guessed || w.Recycle", "wish forgotten"},
	{"failing.go", "other.failing.IsZero() && other.succeeded.After(w.failing)", "other.failing.IsZero()", "replaced for what all suffer from"},
	{"failing.go", "!f.failedAt.IsZero() && f.now.Sub(f.failedAt) < f.current.BackoffMax", "false", "replaced for failures too soon after another"},
	{"failing.go", "		f.failedAt = f.now\n", "", "replaced for failures too soon after another"},
	{"failing.go", "		worst.Recycle = ReasonFailures\n", "", "failing worker left alone"},
	{"record.go", "	w.failing, w.succeeded = sight.Failing, sight.Succeeded\n", "	if w.failing.IsZero() {\n		w.failing, w.succeeded = sight.Failing, sight.Succeeded\n	}\n", "replaced for what all suffer from"},
	{"../guard/guard.go", "(!w.Due.IsZero() || w.charge.counts())", "(!w.Due.IsZero() && !w.charge.counts())", "time stands still"},
	{"bury.go", "w.guessed && !w.oversized && !f.stayed(w, f.now):", "w.guessed && w.oversized:", "failed boot misjudged"},
	{"spawn.go", "	return f.loaded(rev, why)\n", "	return f.loaded(rev, why) || true\n", "spawn without a ready loader"},
	{"spawn.go", "r.still && !leasable(first)) && f.loaded(c, ReasonReload):", "r.still && !leasable(first)):", "retired for a loader that is not ready"},
	{"loader.go", "if f.loader(l.Revision) != nil || r", "if r", "two loaders of a revision"},
	{"loader.go", "|| r.loads.until.After(f.now) {", "{", "loader started inside a backoff"},
	{"loader.go", "r == f.candidate && f.superseded()", "false", "loader started beside one that it takes the place of"},
	{"loader.go", "r.loads.crashes++; r.loads.crashes >= 2 {", "r.loads.crashes++; r.loads.crashes >= 3 {", "loader started inside a backoff"},
	{"loader.go", "!f.stopping && f.revision(l.Revision) != nil", "!f.stopping", "loader that nobody needs lives on"},
	{"loader.go", "!f.stopping && f.revision(l.Revision) != nil", "!f.stopping && l.Revision == f.current.number", "loader ended that is needed"},
	{"loader.go", "			f.killLoader(l)\n", "", "loader that nobody needs lives on"},
	{"loader.go", "ends := l.State == LoaderStopping || l.State == LoaderAborted", "ends := l.State == LoaderStopping", "loader not killed after its stacks"},
	{"loader.go", "LoaderAborted, f.now.Add(AbortGrace)", "LoaderAborted, f.now", "loader killed without need"},
	{"loader.go", "	f.blameLoader(l)\n	l.State, l.due = LoaderAborted", "	l.State, l.due = LoaderAborted", "loaders said to fail that do not"},
	{"loader.go", "			f.abortLoader(l, ReasonStartup)\n", "			f.killLoader(l)\n", "loader killed without its stacks"},
	{"loader.go", "			f.abortLoader(l, ReasonStartup)\n", "", "startup timeout of a loader ignored"},
	{"loader.go", "			f.abortLoader(l, ReasonWatchdog)\n", "", "hung loader left alive"},
	{"condition.go", "r.loads.failures == 0 && r.loads.crashes < 2 {", "r.loads.crashes < 2 {", "failing loaders kept quiet"},
	{"condition.go", "r.loads.failures == 0 && r.loads.crashes < 2 {", "r.loads.failures == 0 && r.loads.crashes < 1 {", "loaders said to fail that do not"},
	{"condition.go", "f.loader(r.number) == nil && r.loads", "r.loads", "loader said to come that is there"},
	{"condition.go", " || sum.Loads >= 2:", ":", "a crash_loop fleet called degraded"},
	{"deadline.go", "later(&l.due)", "_ = l", "late loop punished"},
	{"deadline.go", "				consider(r.loads.until)\n", "", "loader forgotten"},
	{"stop.go", "len(f.workers)+len(f.loaders) == 0 ||", "len(f.workers) == 0 ||", "halt with a living loader"},
	{"rollout.go", "culprit != 0 || f.unloadable(f.current, f.current.StartupAttempts) {", "culprit != 0 {", "failing revision not rolled back"},
	{"rollout.go", "if f.unloadable(f.current, f.current.StartupAttempts) {\n		f.gaveUpLoading", "if f.unloadable(f.current, 1) {\n		f.gaveUpLoading", "gave up without need"},
	{"loader.go", "l.unproven = LoaderServing, f.now, time.Time{}, true", "l.unproven, f.revision(l.Revision).loads.failures = LoaderServing, f.now, time.Time{}, true, 0", "loader started after as many have failed as may"},
	{"loader.go", "l.ReadyAt.IsZero() || l.unproven {", "l.ReadyAt.IsZero() {", "loader started after as many have failed as may"},
	{"loader.go", "		l.unproven = false\n", "", "loaders said to fail that do not"},
	{"ready.go", "		f.proveLoader(r)\n", "", "rolled back without need"},
	{"loader.go", "w.Revision == r.number && !w.blamed", "r == nil && !w.blamed", "rolled back without need"},
	{"loader.go", "(w.ReadyAt.IsZero() || w.guessed)", "w.ReadyAt.IsZero()", "rolled back without need"},
	{"lease.go", "	for _, one := range f.remains {\n		r.leases.hold(one.Lease)\n	}\n", "", "lease shared"},
	{"lease.go", "	f.books(r).hold(w.Lease)\n", "", "lease shared"},
	{"bury.go", "if w.Lease != nil {", "if w.Lease != nil && !w.told {", "lease shared"},
	{"lease.go", "rev.claim != nil || maps.Equal(l, home):", "rev.claim != nil || home == nil && l == nil:", "lease not given back"},
	{"lease.go", "known && i != slot && f.empty(i) &&", "known && i != slot && !f.empty(i) &&", "lease not given back"},
	{"fleet.go", "slot{why: s.why, wished: s.wished, lease: s.lease, closed: s.closed}", "slot{why: s.why, wished: s.wished, closed: s.closed}", "lease not given back"},
	{"lease.go", "return min(workers", "return max(workers", "scaled wrongly"},
	{"spawn.go", "if f.surge() > 0 && leasable {", "if f.surge() > 1 && leasable {", "retired below strength"},
	{"room.go", "r.still = !slices.ContainsFunc(f.remains, func(one *remains) bool { return !one.unkillable })", "r.still = true", "retired below strength"},
	{"room.go", "return !w.unkillable && !w.Spare() }", "return !w.Spare() }", "did not converge"},
	{"lease.go", "	*unkillable, *due = true, f.now", "	*due = f.now", "did not converge"},
	{"end.go", "w.is(Killed, f.now.Add(UnkillableAfter))", "w.is(Killed, f.now.Add(UnkillableAfter/2))", "called unkillable too early"},
	{"lease.go", "f.now.Add(UnkillableEvery)", "f.now.Add(UnkillableEvery / 2)", "called unkillable too early"},
	{"fleet.go", " && !f.bereft(i) {", " {", "did not converge"},
	{"elastic.go", "total/per+min(total%per, 1)", "total/per", "fewer workers than are needed"},
	{"elastic.go", "min(f.wants(), max(f.doubled(), r.floor))", "f.wants()", "more than doubled within a second"},
	{"elastic.go", "f.now.Sub(g.At) >= Doubling", "f.now.Sub(g.At) >= Doubling/2", "more than doubled within a second"},
	{"elastic.go", "	if f.current.target > from {\n", "	if f.current.target > from+2 {\n", "more than doubled within a second"},
	{"elastic.go", "min(most, room)", "max(most, room)", "more workers than are needed or have room"},
	{"elastic.go", "case s.seen && f.wants() > r.target && len(s.growths) > 0:", "case s.waiting < 0:", "growth forgotten"},
	{"elastic.go", "n <= fewest {", "n >= fewest {", "another one released than the one with the least to do"},
	{"elastic.go", "s.released.Add(ReleaseEvery)", "s.released.Add(ReleaseEvery / 2)", "more than one released at once"},
	{"elastic.go", "Add(r.IdleTimeout)", "Add(r.IdleTimeout / 2)", "released too early"},
	{"elastic.go", "s.blind || f.Reloading() {", "f.Reloading() {", "released too early"},
	{"elastic.go", "s.blind || f.Reloading() {", "s.blind {", "released too early"},
	{"elastic.go", "f.touch(max(s.need, r.floor))", "f.touch(min(s.need, r.floor))", "demand asked for at once"},
	{"record.go", "	f.touch(r.floor)\n", "", "released too early"},
	{"record.go", "		r.scale = n - r.Workers\n", "", "not as many workers as are asked for"},
	{"record.go", "		r.Workers = workers\n", "		_ = r\n", "not as many workers as are asked for"},
	{"fleet.go", "		return f.current.scale\n", "		return f.current.floor - f.current.Workers\n", "scaled wrongly"},
	{"elastic.go", "		f.release(d)\n", "", "idle worker kept"},
	{"elastic.go", "r.target <= f.most() && at.After(next)", "at.After(next)", "more workers kept than have room"},
	{"elastic.go", "min(f.sizing.need, f.most())\n", "f.sizing.need\n", "more workers kept than have room"},
	{"elastic.go", "r.target <= f.most() && at.After(next)", "r.target < f.most() && at.After(next)", "released too early"},
	{"elastic.go", "	return f.excessAt()\n", "	return time.Time{}\n", "idle worker forgotten"},
	{"rollout.go", "	if f.current.target == 0 {", "	if f.current.target < 0 {", "did not converge"},
	{"spawn.go", "	f.activateMissing(r)\n", "", "slot empty beside a ready spare"},
	{"spare.go", "	n := f.current.Spares\n", "	n := f.current.Spares + 1\n", "more spares than asked for"},
	{"spare.go", "!f.own(w) || w.Stuck ||", "w.Stuck ||", "spare of another revision kept"},
	{"spare.go", "!f.own(w) || w.Stuck ||", "!f.own(w) ||", "stuck worker left alone"},
	{"spare.go", "f.affordable() || f.Reloading() ||", "f.affordable() ||", "spare started during a reload"},
	{"spare.go", "r.faltering || f.bench.inBackoff(c.number", "f.bench.inBackoff(c.number", "spare started while workers crash"},
	{"spare.go", "r.faltering || f.bench.inBackoff(c.number, f.now) {", "r.faltering {", "spawn inside a backoff"},
	{"spare.go", "		if f.server(i) == nil && !f.starved(r, i) {\n			return\n		}\n", "		_ = i\n", "spare started before a worker"},
	{"spare.go", "w.Slot, w.takenAt = slot, f.now", "w.Slot = slot", "backoff too short"},
	{"spare.go", "	r.living++\n", "", "more than workers + surge alive"},
	{"spare.go", "	f.thin(slot)\n", "", "not quiescent"},
	{"spare.go", "	if c.holds || c.spareless {\n		return c.holds\n	}\n", "	if !c.spareless {\n		return true\n	}\n", "spare of workers that cannot hold"},
	{"spare.go", " || r.spares > f.count((*Worker).holding) {", " {", "not quiescent"},
	{"spare.go", "		case r.spare != nil:\n", "		case r.spare != nil && comes == nil:\n", "starting spare activated beside one that is ready"},
	{"room.go", " - max(r.spares-f.current.Spares, 0)", "", "more than workers + surge alive"},
	{"room.go", " && r.spares == f.count((*Worker).holding)", "", "retired below strength"},
	{"spawn.go", "	case f.surge() > 0 && !leasable(first) && f.loaded(c, ReasonReload) && f.yieldLease(r, c):\n		return -1\n", "", "retired below strength"},
	{"spawn.go", "r.spare != nil && f.fresh(r.spare) {", "r.spare != nil && w.ReadyAt.After(r.spare.ReadyAt) {", "not quiescent"},
	{"ready.go", "(r.Ready != ReadyAlive || w.reserve)", "r.Ready != ReadyAlive", "its word does not count"},
	{"overlap.go", "	case left > 0:\n", "	case left >= 0:\n", "more processes than memory has room for"},
	{"overlap.go", "age >= RoomFor && (left > 0 ||", "age >= 2*RoomFor && (left > 0 ||", "more processes than memory has room for"},
	{"overlap.go", "left := o.room - r.missing", "left := o.room", "more processes than memory has room for"},
	{"overlap.go", "(c == nil || w.ID != c.canary || c.canarySlot == slot)", "(c == nil || w.ID != c.canary)", "more processes than memory has room for"},
	{"overlap.go", "(c == nil || w.ID != c.canary || c.canarySlot == slot)", "(c == nil || true)", "what is missing held back for memory"},
	{"overlap.go", "crashed := w.blamed && w.State == Draining", "crashed := false", "what is missing held back for memory"},
	{"overlap.go", "!spare && !f.occupied(slot) {", "false {", "what is missing held back for memory"},
	{"overlap.go", "f.now.Sub(o.asked) >= RoomFor {", "f.now.Sub(o.asked) >= RoomFor/2 {", "asked for memory too soon"},
	{"overlap.go", "		f.overlap.asked = time.Time{}\n", "		f.do(Weigh{})\n", "asked for memory that nobody wants"},
	{"spawn.go", "	f.overlap.room--\n", "", "more processes than memory has room for"},
	{"bury.go", "	f.overlap.told = time.Time{} //", "	//", "old figures of memory"},
	{"spawn.go", "beside == tight && r.whole &&", "beside == tight &&", "retired below strength"},
	{"spawn.go", "f.unclaimed(r) > 0 && leasable && f.fit(r, i) != tight {", "f.unclaimed(r) > 0 && leasable {", "stuck worker left alone"},
	{"spawn.go", "beside == tight && r.whole &&", "beside == tight && !leasable && r.whole &&", "did not converge"},
	{"spawn.go", "(f.surge() == 0 || beside)", "f.surge() == 0", "did not converge"},
	{"spawn.go", "	case beside && f.yieldSpare(r, (*Worker).Spare):\n		return -1\n", "", "retired beside a spare that could go"},
	{"deadline.go", "			consider(o.asked.Add(RoomFor))\n", "", "memory forgotten"},
	{"deadline.go", "			consider(o.told.Add(RoomEvery))\n", "", "memory forgotten"},
	{"spawn.go", "f.overlap.waits || fit == tight", "f.overlap.waits || fit == tight && slot == NoSlot", "memory forgotten"},
	{"linger.go", "case age >= LingerFor:", "case age >= 2*LingerFor:", "stays beside its successor for too long"},
	{"linger.go", "return l.streams > l.fewest", "return l.streams > 0", "stays beside its successor for too long"},
	{"linger.go", "	case age < LingerFor/2:\n		return l.streams > 0\n", "	case age < LingerFor/2:\n		return true\n", "stays beside its successor for too long"},
	{"linger.go", "f.hurry || f.current.Private ||", "f.hurry ||", "stays beside its successor without need"},
	{"linger.go", "!f.Stopping() && !f.Reloading() &&", "!f.Stopping() &&", "stays beside its successor without need"},
	{"linger.go", "!f.Stopping() && !f.Reloading() &&", "!f.Reloading() &&", "stays beside its successor without need"},
	{"linger.go", "return w.serving() && w.Stuck })", "return w == nil })", "stays beside its successor without need"},
	{"linger.go", "	case \"\", ReasonRecycle, ReasonFailures:\n", "	case \"\":\n", "stays beside its successor without need"},
	{"linger.go", "return w.cooperates && !w.Stuck &&", "return !w.Stuck &&", "stays beside its successor without need"},
	{"linger.go", " && w.failing.IsZero()", "", "stays beside its successor without need"},
	{"retire.go", "if w != keep && !f.lingers(w) {", "if w != keep {", "told to drain while its streams last"},
	{"linger.go", "		l.fewest = min(l.fewest, streams)\n", "", "told to drain while its streams last"},
	{"linger.go", "				w.linger = linger{}\n", "", "told to drain while its streams last"},
	{"ready.go", "	case w.Spare() && !w.holds: // it accepts, and goes\n", "", "ready without a reason"},
}

// TestMutants shows that the oracles bite: each mutant of the brain is caught
// by the law it breaks.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("plays worlds with every mutant; left out by -short")
	}
	binary := buildMutants(t)
	for i, m := range mutants {
		t.Run(m.law, func(t *testing.T) {
			t.Parallel()
			if caught, out := simulateMutant(t, binary, i, m.law); !caught {
				t.Errorf("mutant %q was not caught by %q:\n%s", m.new, m.law, firstLines(out, 6))
			}
		})
	}
}

// brokenLaw is how the simulator says which world broke which law.
var brokenLaw = regexp.MustCompile(`world ([0-9]+) after [0-9]+ steps: (.*)`)

// simulateMutant runs the simulator with one mutant until the law is broken. A mistake
// may break others as well, and earlier: it goes on with the worlds behind those.
func simulateMutant(t *testing.T, binary string, mutant int, law string) (caught bool, out string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	for seed, tries := 1, 0; tries < 100; tries++ {
		cmd := exec.CommandContext(ctx, binary, "-test.run", "^TestSimulate$", "-steps", "10000000", "-seed", strconv.Itoa(seed))
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", mutantName, mutant))
		text, err := cmd.CombinedOutput()
		found := brokenLaw.FindStringSubmatch(string(text))
		if out = string(text); found == nil {
			return false, fmt.Sprintf("%v, after all of its time: %v\n%s", err, ctx.Err() != nil, out)
		}
		if strings.HasPrefix(found[2], law) {
			return true, out
		}
		if seed, err = strconv.Atoi(found[1]); err != nil {
			t.Fatal(err)
		}
		seed++
	}
	return false, out
}

func firstLines(s string, n int) string {
	lines := strings.SplitAfterN(s, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "")
}
