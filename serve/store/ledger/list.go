package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/degas-dns/degas/model/dnsname"
)

// Filter chooses decisions. The zero Filter chooses all; every field that is set has to fit.
type Filter struct {
	Verdict Verdict
	State   State
	By      string
	// Pattern fits exactly, as Decide would keep it.
	Pattern string
	// About chooses decisions about a name: its own, and those of domains that it is in.
	About string
	// Text is in the pattern or in the note, in any case of ASCII's letters.
	Text string
}

// Page is a part of the decisions, newest first.
type Page struct {
	Decisions []Decision `json:"decisions"`
	// Next is what the next call takes as before, 0 at the end.
	Next int64 `json:"next,omitempty"`
}

// Decisions are those that f chooses, newest first, at most n of them and only those with an ID below before. before 0
// begins with the newest one; n 0 is DefaultPage. The error wraps ErrInput if f says something impossible.
func (l *Ledger) Decisions(ctx context.Context, f Filter, before int64, n int) (Page, error) {
	where, args, err := f.where(time.Now(), before)
	if err != nil {
		return Page{}, err
	}
	n = page(n)
	p := Page{Decisions: []Decision{}}
	rows, err := l.read.QueryContext(ctx, selectDecisions+where+fmt.Sprintf(" ORDER BY d.id DESC LIMIT %d", n+1), args...)
	err = each(rows, err, func() error {
		var d Decision
		err := d.scan(rows)
		p.Decisions = append(p.Decisions, d)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("read decisions: %w", err)
	}
	if len(p.Decisions) > n {
		p.Decisions = p.Decisions[:n]
		p.Next = p.Decisions[n-1].ID
	}
	return p, nil
}

// where is the condition of a Filter, and its arguments. The first one is now.
func (f *Filter) where(now time.Time, before int64) (where string, args []any, err error) {
	args = []any{milli(now)}
	var all []string
	// The state has ?1 several times; SQLite numbers every other ? from there on.
	add := func(condition string, values ...any) {
		args = append(args, values...)
		all = append(all, condition)
	}
	if before > 0 {
		add("d.id < ?", before)
	}
	switch f.Verdict {
	case "":
	case Allow, Block, Unsure:
		add("d.verdict = ?", string(f.Verdict))
	default:
		return "", nil, input("verdict: %q is none of allow, block and unsure", cut(string(f.Verdict)))
	}
	switch f.State {
	case "":
	case InForce, Superseded, Expired, Revoked:
		add("state = ?", string(f.State))
	default:
		return "", nil, input("state: %q is none of in force, superseded, expired and revoked", cut(string(f.State)))
	}
	if f.By != "" {
		add("d.by = ?", f.By)
	}
	if f.Pattern != "" {
		pattern, err := Pattern(f.Pattern, "")
		if err != nil {
			return "", nil, err
		}
		add("d.pattern = ?", pattern)
	}
	if f.About != "" {
		name, err := dnsname.Fold(f.About)
		if err != nil {
			return "", nil, input("about: %q is no name: %w", cut(f.About), err)
		}
		patterns := []any{name}
		for ok := true; ok; _, name, ok = strings.Cut(name, ".") {
			patterns = append(patterns, "*."+name)
		}
		add("d.pattern IN (?"+strings.Repeat(", ?", len(patterns)-1)+")", patterns...)
	}
	if f.Text != "" {
		// instr has no pattern characters that a text would have to be free of
		add("(instr(d.pattern, lower(?)) > 0 OR instr(lower(d.note), lower(?)) > 0)", f.Text, f.Text)
	}
	if len(all) == 0 {
		return "", args, nil
	}
	return " WHERE " + strings.Join(all, " AND "), args, nil
}
