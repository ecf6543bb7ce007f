package console

import (
	"crypto/rand"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/degas-dns/degas/detect/lists"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// Bounds of an import. Larger lists are for --allow and --block, which read files of millions of entries.
const (
	mostUpload   = 5 << 20 // bytes
	mostImported = 10_000  // entries
	mostDrafts   = 8       // that wait
	draftTime    = 15 * time.Minute
)

// draft is a list that was read and that nobody has kept yet.
type draft struct {
	key, by string
	at      time.Time
	verdict ledger.Verdict
	entries []lists.Entry
}

// drafts are the newest lists that wait for their people. A restart forgets them.
type drafts struct {
	mu  sync.Mutex
	all []draft
}

// put adds a draft, and forgets the oldest ones.
func (d *drafts) put(one draft) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = slices.DeleteFunc(d.all, func(x draft) bool { return one.at.Sub(x.at) > draftTime })
	d.all = append(d.all[max(0, len(d.all)-mostDrafts+1):], one)
}

// take gives a draft to the person who made it, once.
func (d *drafts) take(key, by string, now time.Time) (one draft, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.all, func(x draft) bool { return x.key == key && x.by == by && now.Sub(x.at) <= draftTime })
	if i < 0 {
		return draft{}, false
	}
	one = d.all[i]
	d.all = slices.Delete(d.all, i, i+1)
	return one, true
}

// importPage shows what was read of a list, before it is kept.
type importPage struct {
	Key     string
	Verdict ledger.Verdict
	Format  string
	Entries []lists.Entry // the first ones
	More    int
	New     int // entries that are not in force yet
	Same    int // entries that are
	// Exceptions are entries of a block list that allow.
	Exceptions int
	Broken     []lists.Left
	Reasons    []reason
	Label      string
}

// reason is how many lines are no entries for it.
type reason struct {
	Text string
	N    int
}

// previewed is how many entries, and how many lines that are none, a preview shows.
const previewed = 50

// importList answers POST /console/lists/import, which has parts of a form: file or text, and verdict.
func (c *Console) importList(v *visit) (*view, error) {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, mostUpload+1<<20)
	form, err := v.r.MultipartReader()
	if err != nil {
		return nil, reply.BadRequest("Choose a file, or paste a list")
	}
	in, verdict, err := readUpload(form)
	if err != nil {
		return nil, err
	}
	if verdict != ledger.Allow && verdict != ledger.Block {
		return nil, reply.BadRequest("verdict: %q is neither allow nor block", short(string(verdict)))
	}
	list, err := lists.ReadEntries(strings.NewReader(in), verdict == ledger.Block, mostImported)
	if errors.Is(err, lists.ErrTooMany) {
		return nil, reply.BadRequest("The list cannot be kept as decisions: %v. Try: degas serve --%s FILE, which "+
			"reads lists of millions of entries", err, verdict)
	} else if err != nil {
		return nil, reply.BadRequest("The list cannot be read: %v", err)
	}
	p := c.preview(v, list, verdict)
	return &view{page: "import", title: "Import a list", data: &p}, nil
}

// readUpload reads the parts of a form: the list, and what it is to do.
func readUpload(form *multipart.Reader) (list string, verdict ledger.Verdict, err error) {
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			break
		}
		var data []byte
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(part, mostUpload+1))
		}
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large), len(data) > mostUpload:
			return "", "", &reply.Failure{Status: http.StatusRequestEntityTooLarge, Text: "The list has more than 5 MB. " +
				"Try: degas serve --block FILE, which reads larger lists"}
		case err != nil:
			return "", "", reply.BodyFailure(err, "The form cannot be read")
		}
		switch part.FormName() {
		case "file", "text":
			if list == "" {
				list = string(data)
			}
		case "verdict":
			verdict = ledger.Verdict(data)
		}
	}
	if strings.TrimSpace(list) == "" {
		return "", "", reply.BadRequest("Choose a file, or paste a list")
	}
	return list, verdict, nil
}

// preview keeps what was read as a draft, without what can be no decision, or is one already.
func (c *Console) preview(v *visit, list *lists.Listed, verdict ledger.Verdict) importPage {
	p := importPage{Verdict: verdict, Format: list.Format, Broken: list.Left, Label: "malicious"}
	if verdict == ledger.Allow {
		p.Label = "benign"
	}
	count := list.Skipped
	s := c.o.Ledger.InForce(time.Now())
	seen := map[lists.Entry]bool{}
	var kept []lists.Entry
	for _, e := range list.Entries {
		pattern, err := ledger.Pattern(e.Pattern, "")
		e.Pattern = pattern
		inForce := s.Allow
		if verdict == ledger.Block && !e.Exception {
			inForce = s.Block
		}
		_, same := slices.BinarySearch(inForce, pattern)
		switch {
		case err != nil:
			count["no decision can hold it"]++
		case seen[e]:
		case same:
			seen[e] = true
			p.Same++
		default:
			seen[e] = true
			if kept = append(kept, e); e.Exception {
				p.Exceptions++
			}
		}
	}
	for text, n := range count {
		p.Reasons = append(p.Reasons, reason{text, n})
	}
	slices.SortFunc(p.Reasons, func(a, b reason) int { return b.N - a.N })
	p.New = len(kept)
	p.Entries, p.More = kept[:min(len(kept), previewed)], max(len(kept)-previewed, 0)
	p.Broken = p.Broken[:min(len(p.Broken), previewed)]
	if p.New > 0 {
		p.Key = rand.Text()
		c.drafts.put(draft{p.Key, v.by(), time.Now(), verdict, kept})
	}
	return p
}

// keepList answers POST /console/lists/keep: key of a draft, label, note, expires, until.
func (c *Console) keepList(v *visit) (*view, error) {
	now := time.Now()
	expires, err := expiry(v.q, now)
	if err != nil {
		return nil, err
	}
	one, ok := c.drafts.take(v.q.Get("key"), v.by(), now)
	if !ok {
		return nil, &reply.Failure{Status: http.StatusConflict,
			Text: "The list is not here any more: it was kept already, or " +
				"waited for too long. Try: read it again"}
	}
	all := make([]ledger.Decision, len(one.entries))
	for i, e := range one.entries {
		all[i] = ledger.Decision{Pattern: e.Pattern, Verdict: one.verdict, Label: v.q.Get("label"), By: v.by(),
			Note: v.q.Get("note"), Expires: expires}
		if e.Exception {
			all[i].Verdict, all[i].Label = ledger.Allow, ""
		}
	}
	made, err := c.o.Ledger.DecideAll(v.ctx(), all)
	if err != nil {
		c.drafts.put(one) // whoever goes back can send the form again
		return nil, err
	}
	c.refresh()
	return &view{to: madeBy("/console/lists", made)}, nil
}
