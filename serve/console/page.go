package console

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// view is an answer: a page, a part of one, or another page to go to.
type view struct {
	page   string // templates/PAGE.html
	part   string // the template in it that is all of the answer, "" for the whole page
	title  string
	status int // 0 is 200
	data   any // what the template shows
	// scripts are modules of static/ that the page needs besides console.js, and files of vendor/.
	scripts []string
	to      string // a redirection: a path of this server
}

// frame is what a template gets: what all pages have, and Data.
type frame struct {
	Title, Active string
	Version       string
	Person        accounts.Person // without a name, nobody is logged in
	Scripts       []string
	Here          string // path and query of this page
	Data          any
}

// May reports whether the person has a role.
func (f frame) May(role string) bool {
	return f.Person.Name != "" && f.Person.Role.May(accounts.Role(role))
}

//go:embed templates
var templates embed.FS

// pages are the parsed templates by the name of their file without ".html".
type pages map[string]*template.Template

// readPages parses all templates: each page with layout.html and parts.html.
func readPages(f files) (pages, error) {
	read := func(name string) string {
		text, err := templates.ReadFile("templates/" + name + ".html")
		if err != nil {
			panic(err) // embedded
		}
		return string(text)
	}
	shared := read("layout") + read("parts")
	all, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return nil, err
	}
	p := pages{}
	for _, file := range all {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		p[name] = printable.HTMLTemplate(name, shared+read(name), f.functions())
	}
	return p, nil
}

// write answers with a view. It is rendered to memory first, so that an error in a template is no half page.
func (c *Console) write(v *visit, out *view) {
	if out.to != "" {
		if v.partial() {
			v.w.Header().Set("HX-Redirect", out.to)
			v.w.WriteHeader(http.StatusOK)
			return
		}
		http.Redirect(v.w, v.r, out.to, http.StatusSeeOther)
		return
	}
	f := frame{Title: out.title, Active: out.page, Version: c.o.Version, Person: v.session.Person, Data: out.data,
		Here: v.r.URL.RequestURI(), Scripts: out.scripts}
	part := out.part
	if part == "" {
		part = "layout"
	}
	var b bytes.Buffer
	if err := c.pages[out.page].ExecuteTemplate(&b, part, f); err != nil {
		c.log.Error("console: a template failed", "page", out.page, "error", err)
		http.Error(v.w, "Something failed here; the log says what", http.StatusInternalServerError)
		return
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "Accept-Encoding")
	body := b.Bytes()
	if len(body) > leastPacked && packs(v.r) {
		h.Set("Content-Encoding", "gzip")
		body = packed(body)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if out.status != 0 {
		v.w.WriteHeader(out.status)
	}
	if v.r.Method != http.MethodHead {
		_, _ = v.w.Write(body)
	}
}

// leastPacked is from where on pages are packed, in bytes.
const leastPacked = 1 << 10

// packed is a page with gzip. The length of what is packed tells something of a secret in it to who chooses other parts
// of the page and sees the length (the attack BREACH). The secret that is worth it is the session's, which is a cookie
// and on no page; there are no tokens against forged requests, since the guards look at their origin.
func packed(page []byte) []byte {
	var b bytes.Buffer
	w := packers.Get().(*gzip.Writer)
	defer packers.Put(w)
	w.Reset(&b)
	_, _ = w.Write(page) // memory takes all
	_ = w.Close()
	return b.Bytes()
}

// packers are kept, since each takes 800 kB.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// packs reports whether a browser reads gzip.
func packs(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") }

// functions are what templates can call.
func (f files) functions() map[string]any {
	return map[string]any{
		"asset":   f.path,
		"grouped": func(n int64) string { return printable.Grouped(int(n)) },
		"count":   printable.Grouped,
		"score":   func(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) },
		"percent": func(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + " %" },
		"share":   share,
		"bytes":   size,
		"when":    when,
		"short":   short,
		"link":    link,
		"dict":    dict,
		"ruled": func(name string, d *ledger.Decision, back string) decidedPart {
			return decidedPart{Name: name, Made: d, Back: back}
		},
		"lines": func(s string) []string { return strings.Split(s, "\n") },
		"bare":  func(pattern string) string { return strings.TrimPrefix(pattern, "*.") },
	}
}

// when is a time element, which console.js shows in the browser's zone, with UTC on hover.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.Format("2006-01-02T15:04:05.000Z"),
		t.Format("2006-01-02 15:04:05 UTC")))
}

// short leaves out the middle of a long name, such as a tunnel's: its domain is at the end.
func short(name string) string {
	const most, end = 64, 31
	if r := []rune(name); len(r) > most {
		return string(r[:end]) + "…" + string(r[len(r)-end:])
	}
	return name
}

// link is a path with a query of pairs of keys and values; empty values are left out.
func link(path string, pairs ...any) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if value := fmt.Sprint(pairs[i+1]); value != "" {
			q.Add(fmt.Sprint(pairs[i]), value)
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// share is n of all in percent.
func share(n, all int64) string {
	return strconv.FormatFloat(100*float64(n)/float64(max(all, 1)), 'f', 2, 64) + " %"
}

// dict is a map of pairs, for templates that take several values.
func dict(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m
}

// size writes bytes for people.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	x := float64(n)
	for len(units) > 1 && math.Abs(x) >= 1024 {
		x, units = x/1024, units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%.0f B", x)
	}
	return fmt.Sprintf("%.1f %s", x, units[0])
}

// seconds is a duration in whole seconds, at least one.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}
