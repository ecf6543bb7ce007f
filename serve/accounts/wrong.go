package accounts

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/degas-dns/degas/internal/tries"
)

// Bounds of the lines that wrong tries make in the audit: mostLines each window, and one that counts the rest. A year
// of attack makes fewer than 100,000 lines.
const (
	window    = time.Hour
	mostLines = 10
)

// wrongs are the wrong tries of a window of time.
type wrongs struct {
	mu            sync.Mutex
	start         time.Time
	seen          map[tried]struct{} // that have a line in the audit
	more, refused int                // without a line
}

// tried is what wrong tries have in common.
type tried struct {
	what, key string
	place     netip.Addr
}

// note counts a wrong try. line says that it has to have a line in the audit, and over is the text of another line
// about a window that has ended, if not "".
func (w *wrongs) note(t tried, refused bool, now time.Time) (line bool, over string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if age := now.Sub(w.start); age >= window || age < 0 {
		over = w.end()
		w.start, w.seen = now, map[tried]struct{}{}
	}
	if _, ok := w.seen[t]; !ok && !refused && len(w.seen) < mostLines {
		w.seen[t] = struct{}{}
		return true, over
	}
	w.more++
	if refused {
		w.refused++
	}
	return false, over
}

// end is the text about what has no line, "" if there is nothing. w.mu is held.
func (w *wrongs) end() (over string) {
	if w.more > 0 {
		over = fmt.Sprintf("%d more from %s on; %d were refused", w.more, w.start.UTC().Format(time.DateTime), w.refused)
	}
	w.more, w.refused = 0, 0
	return over
}

// Who is in the lines of the audit that are about nobody who is known. No person has a name with a space.
const (
	unknownName  = "unknown name"
	severalNames = "several names"
)

// noteWrong puts a wrong try into the audit, or counts it. who is the name of an account: a name that nobody has may be
// a password in the wrong field, and is kept nowhere. Known and unknown names take the same steps.
func (a *Accounts) noteWrong(ctx context.Context, what, key, who string, from netip.Addr, refused bool) {
	t := tried{what, key, tries.Place(from, placeBits)}
	line, over := a.wrongs.note(t, refused, a.now())
	ctx = context.WithoutCancel(ctx)
	a.overLine(ctx, over)
	if !line {
		return
	}
	if err := a.ledger.Audit(ctx, who, what, "from "+address(from)); err != nil {
		a.log.Error("a wrong try to log in is missing in the audit", "error", err)
	}
}

// overLine puts the end of a window into the audit.
func (a *Accounts) overLine(ctx context.Context, over string) {
	if over == "" {
		return
	}
	if err := a.ledger.Audit(ctx, severalNames, wrongPassword, over); err != nil {
		a.log.Error("wrong tries to log in are missing in the audit", "tries", over, "error", err)
	}
}

// Tidy forgets sessions and invitations that are over, and writes what it has counted of wrong tries to the audit. Call
// it once an hour, and before the ledger is closed.
func (a *Accounts) Tidy(ctx context.Context) error {
	a.wrongs.mu.Lock()
	over := a.wrongs.end()
	a.wrongs.mu.Unlock()
	a.overLine(ctx, over)
	now := a.now()
	return a.ledger.TidyAccounts(ctx, now.Add(-a.o.Idle), now.Add(-a.o.Life), now.Add(-keepExpired), now.Add(-knownFor))
}
