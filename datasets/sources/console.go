package sources

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/fetch"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/userfile"
)

// consoleName is the source of what people decided. An argument is console:URL of a degas serve, or console:FILE, a CSV
// that one wrote.
const consoleName = "console"

// mostBytes bounds a file of decisions.
const mostBytes = 1 << 30

// decisionsPath is where a degas serve has its decisions.
const decisionsPath = "/v1/decisions.csv"

func init() {
	Register(Source{
		Name:     consoleName,
		Title:    "Decisions of people in degas serve",
		Licence:  "your own",
		Citation: "who decided is in the file",
		Homepage: "https://github.com/degas-dns/degas",
		Good:     "training on what was decided. Write console:URL of a degas serve, or console:FILE",
		Files: func(context.Context, *fetch.Client) ([]fetch.File, error) {
			return nil, errors.New("which console? Try: console:http://127.0.0.1:8501, or console:decisions.csv")
		},
	})
}

// isConsole reports whether an argument of Download names decisions of people, and what comes after console:.
func isConsole(arg string) (where string, ok bool) { return strings.CutPrefix(arg, consoleName+":") }

// Changes reports whether an argument of Download names something that may differ each time: what people decided.
func Changes(arg string) bool {
	where, ok := isConsole(arg)
	return ok && strings.Contains(where, "://")
}

// console is the target of an argument that isConsole knows. No error has the address, which may hold a token.
func (o Options) console(where string) (target, error) {
	s, err := Lookup(consoleName)
	t := target{Source: s, token: o.Token}
	if err != nil || where == "" {
		_, err = s.Files(nil, nil)
		return t, err
	}
	address := ""
	if !strings.Contains(where, "://") {
		t.local, t.base = where, filepath.Base(where)
		t.Dead = "Try: a file that a degas serve wrote at " + decisionsPath
	} else {
		u, err := url.Parse(where)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return t, errors.New("source console: its address is no URL of a degas serve. Try: console:http://127.0.0.1:8501")
		}
		if u.User != nil {
			if t.token = u.User.Username(); t.token == "" || hasPassword(u.User) {
				t.token, _ = u.User.Password()
			}
		}
		warnOfClearToken(u, t.token)
		u.User, u.RawQuery, u.Fragment = nil, "all=true", ""
		u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, decisionsPath), "/")
		t.base = serverFile(u)
		u.Path += decisionsPath
		address = u.String()
		t.Dead = "Try: the address in a browser; a server with tokens needs one of scope decide, as --token-file"
	}
	t.decided = map[string]int64{}
	t.Files = func(context.Context, *fetch.Client) ([]fetch.File, error) {
		check := func(ctx context.Context, part string) error { return count(ctx, part, t.base, t.decided) }
		return []fetch.File{{Path: t.base, URL: address, Size: -1, Most: mostBytes, Check: check, Dated: true}}, nil
	}
	return t, nil
}

func hasPassword(u *url.Userinfo) bool { _, ok := u.Password(); return ok }

// serverFile is the name of the file with the decisions of a server. Of servers below one host, each has its own: a
// path that is not empty puts eight digits of the address's checksum first.
func serverFile(u *url.URL) string {
	host := strings.ToLower(strings.Trim(u.Host, "[]"))
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, host+strings.ToLower(u.Path))
	if u.Path != "" {
		name = fmt.Sprintf("%.4x-%s", sha256.Sum256([]byte(host+u.Path)), name[:min(len(name), 200)])
	}
	return name + ".csv"
}

func warnOfClearToken(u *url.URL, token string) {
	ip, err := netip.ParseAddr(u.Hostname())
	if token != "" && u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
		slog.Warn("the console's token goes over the network in the clear. Try: an https URL", "host", u.Host)
	}
}

// count adds the decisions in the file at part by label, which is to be called name. It is an error if the file is none
// of degas serve.
func count(ctx context.Context, part, name string, labels map[string]int64) error {
	f, err := userfile.Open(part)
	if err != nil {
		return err
	}
	defer f.Close()
	reader, err := formats.Lookup("decisions")
	if err != nil {
		return err
	}
	head, in, err := lines.Peek(f)
	if err != nil {
		return err
	}
	if score, why := reader.Match(name, head); score == 0 {
		return fmt.Errorf("%s has no decisions of a degas serve: %s", name, why)
	}
	counts := labelCount{}
	if err := reader.Read(ctx, in, formats.FileInfo{Path: name}, &counts); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for _, v := range counts.evidence.Values {
		labels[v.Value] += v.Rows
	}
	if counts.left > 0 {
		labels["left out"] += counts.left
	}
	return nil
}

// labelCount is a Sink that only counts.
type labelCount struct {
	evidence *datasets.Evidence
	left     int64
}

func (c *labelCount) Record(int64, datasets.Record) error { return nil }
func (c *labelCount) Refuse(int64, string) error          { c.left++; return nil }
func (c *labelCount) LeaveOut(int64, string)              { c.left++ }
func (c *labelCount) Evidence(e *datasets.Evidence)       { c.evidence = e }
