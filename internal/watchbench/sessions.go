package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	_ "github.com/degas-dns/degas/events/all" // every format
)

// session is what a live Watch makes of a capture of a tunnel.
type session struct {
	Name     string  `json:"name"`
	Events   int     `json:"events"`
	Lasts    float64 `json:"lasts"` // seconds
	Found    string  `json:"found"` // the domain, "" if it was not found
	Seconds  float64 `json:"seconds"`
	Names    int     `json:"names"` // questions until then
	BytesOut int64   `json:"bytes_out"`
	Others   int     `json:"others"` // findings about something else
}

// sessions reads all captures, each with a live Watch that is told the time every second.
func (b *bench) sessions(ctx context.Context) (out []session, err error) {
	paths, err := filepath.Glob(filepath.Join(b.captures, "*.pcap"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no *.pcap in %s", b.captures)
	}
	for _, path := range paths {
		s, err := b.session(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func (b *bench) session(ctx context.Context, path string) (s session, err error) {
	s.Name = strings.TrimSuffix(filepath.Base(path), ".pcap")
	f, err := events.Open(ctx, path, events.Options{}, nil)
	if err != nil {
		return s, err
	}
	defer f.Close()
	in := events.Join(f)
	w := watch.New(watch.Options{Tables: b.tables, Seed: 1, Live: true})
	var first, last, told time.Time
	var e events.Event
	now := func(t time.Time) {
		told = t
		for _, found := range w.Now(t) {
			if found.Kind != watch.Tunnel || s.Found != "" {
				s.Others++
				continue
			}
			s.Found, s.Seconds, s.Names = found.Subject(), t.Sub(first).Seconds(), s.Events
		}
	}
	for {
		if err = in.Next(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return s, err
		}
		if first.IsZero() {
			first, told = e.Time, e.Time
		}
		if e.Time.Sub(told) >= time.Second {
			now(e.Time)
		}
		d := b.policy.DecideEvent(&e)
		w.Observe(&e, &d)
		s.Events++
		if zone, _ := detect.Zone(string(events.AppendLower(nil, e.Name))); s.Found == "" && d.Rule != detect.NeverScored {
			s.BytesOut += int64(max(len(e.Name)-len(zone)-1, 0))
		}
		if e.Time.After(last) {
			last = e.Time
		}
	}
	now(last.Add(time.Second))
	s.Lasts = last.Sub(first).Seconds()
	return s, nil
}
