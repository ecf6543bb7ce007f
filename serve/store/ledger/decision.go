package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/lists"
	"github.com/degas-dns/degas/model/dnsname"
)

// Verdict is what somebody decided about a pattern.
type Verdict string

// Verdicts.
const (
	Allow  Verdict = "allow"
	Block  Verdict = "block"
	Unsure Verdict = "unsure" // on no list
)

// Scope says which names a decision is about.
type Scope string

// Scopes.
const (
	Name   Scope = "name"   // the name itself
	Domain Scope = "domain" // a registered domain, or another domain, and all names below it
)

// State is what became of a decision.
type State string

// States.
const (
	InForce    State = "in force"
	Superseded State = "superseded" // by a later one about the same pattern
	Expired    State = "expired"
	Revoked    State = "revoked"
)

// Decision is what somebody decided. Its JSON is that of the HTTP API.
type Decision struct {
	ID int64 `json:"id"` // grows with time
	// Pattern is a name, or "*.example.com" for a name and all below it. Decide takes it as people write names, and keeps
	// what dnsname.Normalize makes of it.
	Pattern string  `json:"pattern"`
	Verdict Verdict `json:"verdict"`
	// Label is the class that the names have, for training: "benign", "dga", "tunnel", "malicious", or "".
	Label string `json:"label,omitempty"`
	// Scope of "" fits Pattern. Decide makes "*." and the registered domain of a name with Domain.
	Scope Scope     `json:"scope"`
	By    string    `json:"by"`
	At    time.Time `json:"at"` // to the millisecond. Decide takes the zero time for now
	Note  string    `json:"note,omitempty"`
	// Score, Model and Version are what a model said when it was decided. Score is nil if none was asked.
	Score   *float64 `json:"score,omitempty"`
	Model   string   `json:"model,omitempty"`
	Version string   `json:"version,omitempty"`
	// Expires is when the decision ends; zero is never.
	Expires time.Time `json:"expires,omitzero"`

	RevokedBy string    `json:"revoked_by,omitempty"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	State     State     `json:"state"` // at the time of reading
}

// Bounds of a decision's texts, in characters.
const (
	mostNote = 1000
	mostWord = 100
)

// labels are the classes of names that training knows.
var labels = []string{"benign", "dga", "tunnel", "malicious"}

// check normalises a decision, or says what is wrong with it.
func (d *Decision) check(now time.Time) error {
	if d.At.IsZero() {
		d.At = now
	}
	d.At = d.At.UTC().Truncate(time.Millisecond)
	d.Expires = d.Expires.Truncate(time.Millisecond)
	d.ID, d.RevokedBy, d.RevokedAt = 0, "", time.Time{}
	pattern, err := Pattern(d.Pattern, d.Scope)
	switch {
	case err != nil:
		return err
	case d.Verdict != Allow && d.Verdict != Block && d.Verdict != Unsure:
		return input("verdict: %q is none of allow, block and unsure", d.Verdict)
	case d.Score != nil && !(*d.Score >= 0 && *d.Score <= 1):
		return input("score: %v is not between 0 and 1", *d.Score)
	case !d.Expires.IsZero() && !d.Expires.After(d.At):
		return input("expires: %s is over. Try: a later time, or none", d.Expires.UTC().Format(time.RFC3339))
	case d.Expires.Year() > 9999:
		return input("expires: the year %d is too far", d.Expires.Year())
	case d.By == "":
		return input("nobody is named who decided")
	}
	d.Pattern, d.Scope = pattern, scopeOf(pattern)
	for _, t := range []struct {
		name, text string
		most       int
	}{{"by", d.By, mostWord}, {"label", d.Label, mostWord}, {"model", d.Model, mostWord}, {"version", d.Version, mostWord},
		{"note", d.Note, mostNote}} {
		if err := checkText(t.name, t.text, t.most); err != nil {
			return err
		}
	}
	if d.Label != "" && !slices.Contains(labels, d.Label) {
		return input("label: %q is none of %s", d.Label, strings.Join(labels, ", "))
	}
	return nil
}

func input(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInput, fmt.Errorf(format, args...))
}

// checkText refuses texts that are too long, or that no page can show. Notes may have several lines.
func checkText(name, text string, most int) error {
	switch {
	case !utf8.ValidString(text):
		return input("%s: it is not UTF-8", name)
	case utf8.RuneCountInString(text) > most:
		return input("%s: it has more than %d characters", name, most)
	case strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && (name != "note" || r != '\n' && r != '\t')
	}):
		return input("%s: it has control characters", name)
	}
	return nil
}

func scopeOf(pattern string) Scope {
	if strings.HasPrefix(pattern, "*.") {
		return Domain
	}
	return Name
}

// Pattern is the pattern for a name, a domain or a URL as people write it. With Domain, it is the registered domain of
// a name and all below it. A text that begins with "*." or "." keeps its domain.
func Pattern(text string, scope Scope) (string, error) {
	text = strings.TrimSpace(text)
	rest := strings.TrimPrefix(text, "*")
	name, below := strings.CutPrefix(rest, ".")
	switch {
	case !below && rest != text:
		return "", input("pattern: %q: a '*' must stand for whole labels. Try: *.example.com", cut(text))
	case scope != "" && scope != Name && scope != Domain:
		return "", input("scope: %q is neither name nor domain", cut(string(scope)))
	case below && scope == Name:
		return "", input("pattern: %q is about more names than one. Try: scope domain, or no '*'", cut(text))
	}
	folded, err := dnsname.Normalize(name)
	if err != nil {
		return "", input("pattern: %q is no name: %w", cut(text), err)
	}
	if !below && scope == Domain {
		below, folded = true, detect.Domain(folded)
	}
	switch {
	case strings.ContainsAny(folded, "+/="):
		return "", input("pattern: %q has a character that no list can hold. Try: its domain, with scope domain", cut(text))
	case below && lists.WholeSuffix(folded):
		return "", input("pattern: *.%s is all names below a public suffix. Try: a domain below it", folded)
	case below:
		return "*." + folded, nil
	}
	return folded, nil
}

// cut bounds what an error says.
func cut(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:100]) + "…"
	}
	return s
}

// Decide adds a decision and returns its ID. Once it returns, the decision is on the disk and in force. The error wraps
// ErrInput if the decision says something impossible, and ErrFull if there is no room.
func (l *Ledger) Decide(ctx context.Context, d Decision) (id int64, err error) {
	all, err := l.DecideAll(ctx, []Decision{d})
	if err != nil {
		return 0, err
	}
	return all[0].ID, nil
}

// DecideAll is Decide of several, all or none of them. It returns them as they are kept, in their order.
func (l *Ledger) DecideAll(ctx context.Context, all []Decision) ([]Decision, error) {
	now := time.Now()
	all = slices.Clone(all)
	for i := range all {
		if err := all[i].check(now); err != nil {
			if len(all) > 1 {
				err = fmt.Errorf("decision %d: %w", i+1, err)
			}
			return nil, err
		}
		all[i].State = InForce
	}
	if len(all) == 0 {
		return nil, nil
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if n := l.force.len() + len(all); n > l.o.MostInForce {
		return nil, fmt.Errorf("%w: there would be %d, and %d may be. Try: a file for detect/lists, or revoke some", ErrFull,
			n, l.o.MostInForce)
	}
	err := l.change(ctx, func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, `INSERT INTO decision (pattern, verdict, label, by, at, note, score, model,
			version, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for i := range all {
			d := &all[i]
			r, err := insert.ExecContext(ctx, d.Pattern, d.Verdict, d.Label, d.By, milli(d.At), d.Note, d.Score, d.Model,
				d.Version, orNull(d.Expires))
			if err == nil {
				d.ID, err = r.LastInsertId()
			}
			if err != nil {
				return err
			}
		}
		return audit(ctx, tx, now, all[0].By, "decide", about(all))
	})
	if err != nil {
		return nil, fmt.Errorf("write a decision: %w", err)
	}
	l.force.add(all)
	return all, nil
}

// about is what the audit says of decisions.
func about(all []Decision) string {
	text := fmt.Sprintf("%d: %s %s", all[0].ID, all[0].Verdict, all[0].Pattern)
	if n := len(all) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more up to %d", n, all[n].ID)
	}
	return text
}

// Revoke ends a decision. It returns what was revoked, and the decision about the same pattern that is in force again,
// nil if there is none. The error wraps ErrNotFound or ErrOver.
func (l *Ledger) Revoke(ctx context.Context, id int64, by string) (revoked Decision, again *Decision, err error) {
	err = l.revoke(ctx, by, func(tx *sql.Tx, now time.Time) ([]Decision, error) {
		if revoked, err = revokeOne(ctx, tx, id, by, now); err != nil {
			return nil, err
		}
		last, err := one(tx.QueryContext(ctx, selectDecisions+` WHERE d.pattern = ?2 AND `+active("d")+`
			ORDER BY d.id DESC LIMIT 1`, milli(now), revoked.Pattern))
		if err == nil && last.ID < id {
			again = &last
		} else if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		return []Decision{revoked}, nil
	})
	if err != nil {
		return Decision{}, nil, fmt.Errorf("revoke decision %d: %w", id, err)
	}
	return revoked, again, nil
}

// RevokeAll is Revoke of several, in one step. It leaves out those that were revoked before, and returns the others.
func (l *Ledger) RevokeAll(ctx context.Context, ids []int64, by string) (revoked []Decision, err error) {
	err = l.revoke(ctx, by, func(tx *sql.Tx, now time.Time) ([]Decision, error) {
		for _, id := range ids {
			d, err := revokeOne(ctx, tx, id, by, now)
			switch {
			case errors.Is(err, ErrOver):
			case err != nil:
				return nil, fmt.Errorf("decision %d: %w", id, err)
			default:
				revoked = append(revoked, d)
			}
		}
		return revoked, nil
	})
	if err != nil {
		return nil, fmt.Errorf("revoke %d decisions: %w", len(ids), err)
	}
	return revoked, nil
}

// revoke runs a transaction that revokes what it returns.
func (l *Ledger) revoke(ctx context.Context, by string, do func(*sql.Tx, time.Time) ([]Decision, error)) error {
	if err := checkText("by", by, mostWord); err != nil || by == "" {
		return errors.Join(err, ErrInput)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	now := time.Now()
	var revoked []Decision
	err := l.change(ctx, func(tx *sql.Tx) (err error) {
		if revoked, err = do(tx, now); err != nil || len(revoked) == 0 {
			return err
		}
		return audit(ctx, tx, now, by, "revoke", about(revoked))
	})
	if err != nil {
		return err
	}
	l.force.remove(revoked...)
	return nil
}

// revokeOne marks a decision as revoked, and returns it.
func revokeOne(ctx context.Context, tx *sql.Tx, id int64, by string, now time.Time) (Decision, error) {
	d, err := one(tx.QueryContext(ctx, selectDecisions+" WHERE d.id = ?2", milli(now), id))
	if err != nil {
		return d, err
	}
	if d.State == Revoked {
		return d, ErrOver
	}
	d.RevokedBy, d.RevokedAt, d.State = by, now.UTC().Truncate(time.Millisecond), Revoked
	_, err = tx.ExecContext(ctx, "UPDATE decision SET revoked_by = ?, revoked_at = ? WHERE id = ?", by, milli(now), id)
	return d, err
}

// active is the condition that a decision is neither revoked nor expired at the time ?1.
func active(d string) string {
	return strings.ReplaceAll("(d.revoked_at IS NULL AND (d.expires IS NULL OR d.expires > ?1))", "d.", d+".")
}

// laterIs is the condition that there is a later decision about the pattern of d for which condition holds.
func laterIs(condition string) string {
	return "EXISTS (SELECT 1 FROM decision n WHERE n.pattern = d.pattern AND n.id > d.id AND " + condition + ")"
}

// stateOf is a decision's state at the time ?1.
var stateOf = `CASE WHEN d.revoked_at IS NOT NULL THEN 'revoked' WHEN d.expires <= ?1 THEN 'expired'
	WHEN ` + laterIs(active("n")) + ` THEN 'superseded' ELSE 'in force' END`

// selectDecisions selects decisions as scan reads them.
var selectDecisions = decisionsWith(stateOf)

func decisionsWith(state string) string {
	return `SELECT d.id, d.pattern, d.verdict, d.label, d.by, d.at, d.note, d.score, d.model, d.version, d.expires,
		d.revoked_by, d.revoked_at, ` + state + ` AS state FROM decision d`
}

// scan reads a row of selectDecisions.
func (d *Decision) scan(rows *sql.Rows) error {
	var at, expires, revokedAt sql.NullInt64
	var revokedBy sql.NullString
	err := rows.Scan(&d.ID, &d.Pattern, &d.Verdict, &d.Label, &d.By, &at, &d.Note, &d.Score, &d.Model, &d.Version,
		&expires, &revokedBy, &revokedAt, &d.State)
	d.Scope, d.At, d.Expires = scopeOf(d.Pattern), when(at), when(expires)
	d.RevokedBy, d.RevokedAt = revokedBy.String, when(revokedAt)
	return err
}

// one is the first row.
func one(rows *sql.Rows, err error) (d Decision, _ error) {
	err = each(rows, err, func() error {
		if d.ID != 0 {
			return nil
		}
		return d.scan(rows)
	})
	if err == nil && d.ID == 0 {
		err = ErrNotFound
	}
	return d, err
}

// each calls f for every row.
func each(rows *sql.Rows, err error, f func() error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(); err != nil {
			return err
		}
	}
	return rows.Err()
}
