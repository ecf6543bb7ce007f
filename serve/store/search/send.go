package search

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/degas-dns/degas/internal/printable"
)

const (
	longestWait = 10 * time.Minute       // that a cluster can ask for
	closingWait = 250 * time.Millisecond // between two attempts of a store that is being closed
)

// sends moves the spool's segments to the cluster, one after the other, and looks after its indices in between. After
// Close it goes on until the spool is empty or ctx ends.
func (s *Store) sends() {
	var sent, maintained, retained time.Time
	tick := time.NewTicker(s.o.pace.maintain)
	defer tick.Stop()
	for s.ctx.Err() == nil {
		last := closed(s.flushed) // before the spool is looked at
		if gather := s.o.pace.gather - time.Since(sent); gather > 0 && s.spool.little() {
			select { // many small requests would cost the cluster more than few large ones
			case <-time.After(gather):
			case <-s.stop:
			}
		}
		seg := s.spool.first()
		now := time.Now()
		switch {
		case seg != nil:
			sent = now
			s.deliver(seg)
		case last:
			return
		case s.target.Load() == nil:
			s.retry(s.settle)
		case now.Sub(maintained) >= s.o.pace.maintain:
			maintained = now
			s.report(s.maintain())
		case now.Sub(retained) >= s.o.pace.retain:
			retained = now
			s.report(s.retain(now))
		default:
			select {
			case <-s.wake:
			case <-tick.C:
			case <-s.flushed:
			}
		}
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// settle asks what the cluster is, at first and after each failure: a cluster that comes back may be a new, empty one.
func (s *Store) settle() error {
	if s.target.Load() != nil && !s.unsure.Load() {
		return nil
	}
	t, err := s.client.settle(s.ctx)
	if err != nil {
		return err
	}
	s.unsure.Store(false)
	if old := s.target.Swap(&t); old == nil || *old != t {
		s.o.Log.Info("a search cluster keeps the events", "cluster", s.client.base.Host, "product", t.product,
			"version", printable.Terminal(t.version), "data stream", t.dataStream)
	}
	return nil
}

// report keeps the outcome of a request, and logs it if it is news.
func (s *Store) report(err error) {
	if s.ctx.Err() != nil {
		return // Close ended the request
	}
	s.problem.Lock()
	before := s.problem.send
	s.problem.send = err
	s.problem.Unlock()
	switch {
	case err != nil && before == nil:
		s.o.Log.Warn("the search cluster fails; events wait in files", "cluster", s.client.base.Host, "error", err)
	case err == nil && before != nil:
		s.o.Log.Info("the search cluster works again", "cluster", s.client.base.Host)
	}
}

// retry calls f until it succeeds, or ctx ends. The waits grow, and are random in part.
func (s *Store) retry(f func() error) {
	wait := s.o.pace.first
	for s.ctx.Err() == nil {
		err := f()
		s.report(err)
		if err == nil {
			return
		}
		s.unsure.Store(true)
		d := wait/2 + rand.N(wait/2+1)
		if refusal := (*answerError)(nil); errors.As(err, &refusal) {
			d = max(d, min(refusal.wait, longestWait))
		}
		wait = min(2*wait, s.o.pace.longest)
		hurry := s.stop
		if closed(s.stop) {
			d, hurry = min(d, closingWait), nil
		}
		select {
		case <-time.After(d):
		case <-hurry:
		case <-s.ctx.Done():
		}
	}
}

// deliver sends a segment and removes it. It returns early if ctx ends.
func (s *Store) deliver(seg *segment) {
	var items []item
	read := false
	s.retry(func() (err error) {
		if err = s.settle(); err != nil {
			return err
		}
		if !read {
			if items, err = seg.read(); err != nil {
				return err
			}
			read = true
		}
		if items, err = s.post(s.target.Load().write(seg.day), items); err != nil {
			return err
		}
		return s.spool.remove(seg)
	})
	if s.ctx.Err() == nil && seg.batch > 0 {
		s.arrived.Store(seg.batch)
	}
}

// post sends documents and gives those that are to be sent again, with the error that says why.
func (s *Store) post(index string, items []item) (again []item, err error) {
	if len(items) == 0 {
		return nil, nil
	}
	again, err = s.bulk(index, items)
	refusal := (*answerError)(nil)
	if err == nil || !errors.As(err, &refusal) {
		return again, err
	}
	switch {
	case refusal.status != http.StatusRequestEntityTooLarge && refusal.status != http.StatusBadRequest:
		return items, err
	case len(items) > 1: // one of them is at fault
		half := len(items) / 2
		first, err1 := s.post(index, items[:half])
		second, err2 := s.post(index, items[half:])
		return append(first, second...), errors.Join(err1, err2)
	}
	s.refuse(items[0], err.Error())
	return nil, nil
}

// bulkAnswer is the answer to a bulk request, as far as the filter of bulk lets it through.
type bulkAnswer struct {
	Errors bool
	Items  json.RawMessage // read only if there are errors: of thousands of documents, most arrive
}

// bulkItem is what became of a document. The map has one entry, "create" or "index".
type bulkItem map[string]struct {
	Status int
	Error  cause
}

// bulk makes one bulk request. Without an error, again is empty.
func (s *Store) bulk(index string, items []item) (again []item, err error) {
	var body bytes.Buffer
	for _, it := range items {
		body.Write(it.action)
		body.Write(it.doc)
	}
	var answer bulkAnswer
	path := "/" + index + "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
	if err := s.client.do(s.ctx, http.MethodPost, path, body.Bytes(), &answer); err != nil {
		return items, err
	}
	if !answer.Errors {
		return nil, nil
	}
	var results []bulkItem
	if err := json.Unmarshal(answer.Items, &results); err != nil || len(results) != len(items) {
		return items, fmt.Errorf("the cluster answered to %d documents of %d", len(results), len(items))
	}
	var sample string
	for i, one := range results {
		for _, result := range one {
			switch {
			case result.Status >= 200 && result.Status <= 299, result.Status == http.StatusConflict:
				// A conflict is a document that is there already, or a total that a later one has replaced.
			case result.Status == http.StatusBadRequest:
				s.refuse(items[i], result.Error.Type+": "+result.Error.Reason)
			default:
				again = append(again, items[i])
				sample = fmt.Sprintf("%d %s: %s", result.Status, result.Error.Type, result.Error.Reason)
			}
		}
	}
	if len(again) > 0 {
		return again, fmt.Errorf("the cluster did not take %d documents of %d: %s", len(again), len(items),
			printable.Terminal(printable.Cut(sample, 300)))
	}
	return nil, nil
}

// refuse counts a document that the cluster will never take, and logs one of them a minute.
func (s *Store) refuse(it item, reason string) {
	if it.row() {
		s.failed.Add(1)
	}
	s.problem.Lock()
	defer s.problem.Unlock()
	if now := time.Now(); now.Sub(s.problem.sampled) >= time.Minute {
		s.problem.sampled = now
		s.o.Log.Error("the search cluster refused a document; others like it are counted alone", "reason",
			printable.Terminal(printable.Cut(reason, 300)),
			"document", printable.Terminal(printable.Cut(string(bytes.TrimSpace(it.doc)), 2000)))
	}
}

// maintain forgets parts whose counts the cluster can be asked for, and asks how much room is used.
func (s *Store) maintain() error {
	s.counting.Lock()
	arrived := s.arrived.Load()
	list := s.parts.settled(arrived, time.Now())
	s.counting.Unlock()
	if len(list) > 0 {
		if err := s.refresh(s.ctx, countsPrefix+"*"); err != nil {
			return err
		}
		s.counting.Lock()
		s.parts.forget(list, arrived)
		s.counting.Unlock()
	}
	return s.measure(s.ctx)
}

// refresh makes documents visible to questions.
func (s *Store) refresh(ctx context.Context, pattern string) error {
	return s.client.do(ctx, http.MethodPost, "/"+pattern+"/_refresh?ignore_unavailable=true", nil, nil)
}

// Refresh waits until the cluster has all events that were appended before, and shows those that became documents.
// Tests use it, and whoever cannot wait five seconds.
func (s *Store) Refresh(ctx context.Context) error {
	now := time.Now()
	s.flush(now, false)
	s.counting.Lock()
	if err := s.sendCounts(now); err != nil {
		s.counting.Unlock()
		return err
	}
	batch := s.batch
	s.counting.Unlock()
	for wait := 5 * time.Millisecond; s.arrived.Load() < batch || s.target.Load() == nil; wait = min(2*wait, closingWait) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.refresh(ctx, s.target.Load().read()+","+countsPrefix+"*")
}
