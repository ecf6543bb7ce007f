// Package lists reads allow lists and block lists from files, folders and URLs, keeps them up to date, and makes a
// [detect.List] of each. It also reads lists of popular names.
//
// # What an entry means
//
// One syntax is recognised for each file, by its first 64 KiB. Lines of other syntaxes are counted and reported.
//
//	domains   example.com             the name alone
//	          *.example.com           the name and all below it; .example.com is the same
//	hosts     0.0.0.0 example.com     the name alone. In a block list the address must lead nowhere
//	adblock   ||example.com^          the name and all below it; with no option but important or all
//	          ||*.example.com^        all below the name
//	          @@||example.com^        an exception: the name and all below it are allowed
//	rpz       example.com CNAME .     the name alone is blocked. So it is with the actions *. and rpz-drop.
//	          *.example.com CNAME .   all below the name
//	          … CNAME rpz-passthru.   an exception: allowed
//
// In a file that is given as block list, exceptions become entries of the allow list. In one that is given as allow
// list, every entry allows. An allow entry wins over every block entry, also over a longer one. This differs from a
// response policy zone, where the longer trigger wins. Names may be international. '#' begins a comment. So do '!'
// and ';' at the beginning of a line.
//
// An entry of the root is never applied. One of all names below a public suffix, such as *.com or ||co.uk^, is applied
// only with Options.Broad: in a list of thousands it is a mistake. Zones that private people hand out, such as
// duckdns.org, and suffixes that are nobody's, such as lan, are no public suffixes in this sense.
//
// # What is never done
//
// A list is replaced by a new version only if that was read to its end, is recognised, and has an entry. An answer of
// 404, half a gzip, or a page in HTML leaves what was there. Files are compared every few seconds. One that vanished or
// has no entry any more leaves its entries too, with two exceptions: a file that was removed from a folder takes its
// entries with it, and so does one that says with a comment, and no entry, that it is empty on purpose. It must say so
// for five seconds, because a list that is being written may begin with comments.
package lists

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/detect"
)

// Options of Open.
type Options struct {
	// Allow and Block are paths of files and folders, or http and https URLs.
	Allow, Block []string
	// Popular is a path or a URL of a list of popular names: lines "RANK,NAME", or names in their order. "" for none.
	Popular string
	// PopularTop is how many of them count. 0 is DefaultTop.
	PopularTop int
	// Broad applies entries of all names below a public suffix.
	Broad bool
	// Dir keeps the last good copy of each URL. "" is degas/lists in os.UserCacheDir.
	Dir string
	// Every is the time between two requests for a URL. 0 is DefaultEvery. Files are looked at every LookEvery, or
	// Every if that is less. A URL with ?wait=30s, such as one of serve/decisions, is asked for again at once: its server
	// answers when the list changes, or after that time.
	Every time.Duration
	// Later says that a URL without a copy, which cannot be fetched now, is no error of Open: Run goes on trying.
	Later bool
	// Log gets what is left out and what fails. nil discards it.
	Log *slog.Logger
	// Client fetches URLs. nil is one with timeouts.
	Client *http.Client
}

// Defaults of Options.
const (
	DefaultTop   = 100_000
	DefaultEvery = time.Hour
	LookEvery    = 2 * time.Second
)

const settle = 5 * time.Second

// Kinds of lists.
const (
	allow   = "allow"
	block   = "block"
	popular = "popular"
)

// Set is the lists of Options. It is safe for concurrent use.
type Set struct {
	o       Options
	look    time.Duration
	settle  time.Duration // after which a file of comments alone is empty on purpose
	sources []*source
	lists   atomic.Pointer[made]
	mu      sync.Mutex // guards what Stats shows of sources
}

// made is what sources make together.
type made struct {
	allow, block *detect.List
	popular      *detect.Popular
}

// Stat is the state of one file or URL.
type Stat struct {
	// Name is the path, or the URL without password and query. A file of a folder has its own.
	Name string
	// Kind is "allow", "block" or "popular". Format is the syntax, "" if nothing is loaded.
	Kind, Format string
	// Entries is how many there are, with exceptions.
	Entries int
	// Skipped counts lines, and names of lines with several, that are no entries, by the reason.
	Skipped map[string]int
	// Loaded is when the entries were read, and Failures how many attempts failed since the start.
	Loaded   time.Time
	Failures int
	// Error is the last attempt's, "" if it went well.
	Error string
}

// Open reads all lists. The error names the file that cannot be read or is no list, or the URL that cannot be fetched
// and has no copy. ctx bounds the time.
func Open(ctx context.Context, o Options) (*Set, error) {
	o.PopularTop, o.Every = cmp.Or(o.PopularTop, DefaultTop), cmp.Or(o.Every, DefaultEvery)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{o: o, look: min(LookEvery, o.Every), settle: settle}
	for _, name := range o.Allow {
		s.sources = append(s.sources, newSource(allow, name))
	}
	for _, name := range o.Block {
		s.sources = append(s.sources, newSource(block, name))
	}
	if o.Popular != "" {
		s.sources = append(s.sources, newSource(popular, o.Popular))
	}
	tellApart(s.sources)
	usual := cmp.Or(o.Client, newClient(headerTimeout))
	for _, src := range s.sources {
		if src.client = usual; o.Client == nil && src.wait > 0 {
			src.client = newClient(headerTimeout + src.wait)
		}
	}
	var reading errgroup.Group
	reading.SetLimit(4)
	for _, src := range s.sources {
		if src.url && s.o.Dir == "" {
			cache, err := os.UserCacheDir()
			if err != nil {
				return nil, fmt.Errorf("no folder for copies of %s: %w. Try: set XDG_CACHE_HOME to a folder, or give a "+
					"file", src.shown, err)
			}
			s.o.Dir = filepath.Join(cache, "degas", "lists")
		}
		reading.Go(func() error { return s.open(ctx, src) })
	}
	if err := reading.Wait(); err != nil {
		return nil, err
	}
	return s, s.merge()
}

// Lists are the newest ones. They are never nil, except popular if there is none.
func (s *Set) Lists() (allow, block *detect.List, popular *detect.Popular) {
	m := s.lists.Load()
	return m.allow, m.block, m.popular
}

// Ready reports whether every list is there. It is false only with Options.Later.
func (s *Set) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, src := range s.sources {
		if src.url && src.files[0].content == nil {
			return false
		}
	}
	return true
}

// Stats are the states of all files and URLs, in the order of Options.
func (s *Set) Stats() (all []Stat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, src := range s.sources {
		for _, f := range src.files {
			stat := Stat{Name: f.shown, Kind: src.kind, Loaded: f.loaded, Failures: f.failures}
			if f.err != nil {
				stat.Error = f.err.Error()
			}
			if c := f.content; c != nil {
				stat.Format, stat.Entries, stat.Skipped = c.format, c.entries, c.skipped
			}
			all = append(all, stat)
		}
	}
	return all
}

// merge makes the lists of what all sources hold.
func (s *Set) merge() error {
	var allows, blocks []*detect.Entries
	m := &made{}
	s.mu.Lock()
	for _, src := range s.sources {
		for _, f := range src.files {
			switch c := f.content; {
			case c == nil:
			case src.kind == popular:
				m.popular = c.popular
			case src.kind == allow:
				allows = append(allows, c.main)
			default:
				blocks, allows = append(blocks, c.main), append(allows, c.exceptions)
			}
		}
	}
	s.mu.Unlock()
	var err [2]error
	m.allow, err[0] = detect.NewListOf(allows...)
	m.block, err[1] = detect.NewListOf(blocks...)
	if err := errors.Join(err[:]...); err != nil {
		return err
	}
	s.lists.Store(m)
	return nil
}
