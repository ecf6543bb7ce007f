package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/serve/store"
)

// Indices that degas may delete. No other name is ever put into a request that deletes.
var (
	datedIndex   = regexp.MustCompile(`^` + datedPrefix + `([0-9]{4}\.[0-9]{2}\.[0-9]{2})$`)
	backingIndex = regexp.MustCompile(`^\.ds-` + regexp.QuoteMeta(stream) + `-([0-9]{4}\.[0-9]{2}\.[0-9]{2}-)?[0-9]{6,}$`)
	countsIndex  = regexp.MustCompile(`^` + countsPrefix + `(minutes|hours|days)-([0-9.]+)$`)
)

// index is an index of events. It has events that were written from begin on, until end.
type index struct {
	name       string
	begin, end time.Time // end is zero for the one that is written to
	bytes      int64
}

// retain deletes what is too old, and the oldest events if there is too much of all. Indices are deleted whole.
func (s *Store) retain(now time.Time) error {
	if err := s.measure(s.ctx); err != nil {
		return err
	}
	sizes, err := s.client.sizes(s.ctx, s.target.Load().read()+","+countsPrefix+"*")
	if err != nil {
		return err
	}
	list, err := s.eventIndices(s.ctx, sizes, now)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, bytes := range sizes {
		total += bytes
	}
	for _, name := range tooOld(list, total, s.o.Keep, s.o.Budget, now) {
		if err := s.delete(s.ctx, name); err != nil {
			return err
		}
	}
	for name := range sizes {
		if countsTooOld(name, now) {
			if err := s.delete(s.ctx, name); err != nil {
				return err
			}
		}
	}
	return s.measure(s.ctx)
}

func (s *Store) delete(ctx context.Context, name string) error {
	err := s.client.do(ctx, http.MethodDelete, "/"+name, nil, nil)
	if refusal := (*answerError)(nil); errors.As(err, &refusal) && refusal.status == http.StatusNotFound {
		return nil // another degas was quicker
	}
	if err != nil {
		return fmt.Errorf("delete the old index %s: %w", name, err)
	}
	s.o.Log.Info("an old index was deleted from the search cluster", "index", name)
	return nil
}

// tooOld are the indices to delete, of a list from old to new: those that have nothing of the time that is kept, and
// then the oldest, until the total fits the budget. The one that is written to stays.
func tooOld(list []index, total int64, keep time.Duration, budget int64, now time.Time) (out []string) {
	for _, one := range list {
		if one.end.IsZero() {
			break
		}
		if now.Sub(one.end) <= keep && (budget == 0 || total <= budget) {
			break
		}
		out = append(out, one.name)
		total -= one.bytes
	}
	return out
}

// countsTooOld reports whether an index of counts has nothing of the time that its step is kept.
func countsTooOld(name string, now time.Time) bool {
	found := countsIndex.FindStringSubmatch(name)
	if found == nil {
		return false
	}
	for _, step := range steps {
		if step.name != found[1] {
			continue
		}
		begin, err := time.Parse(step.layout, found[2])
		if err != nil {
			return false
		}
		end := map[string]time.Time{dayLayout: begin.AddDate(0, 0, 1), steps[store.Hour].layout: begin.AddDate(0, 1, 0),
			steps[store.Day].layout: begin.AddDate(1, 0, 0)}[step.layout]
		return now.Sub(end) > step.kept
	}
	return false
}

// eventIndices are the indices of events, oldest first. The data stream is rolled over first, if its newest index has
// events of a day, or a tenth of the budget.
func (s *Store) eventIndices(ctx context.Context, sizes map[string]int64, now time.Time) (list []index, err error) {
	if !s.target.Load().dataStream {
		for name, bytes := range sizes {
			if found := datedIndex.FindStringSubmatch(name); found != nil {
				if begin, err := time.Parse(dayLayout, found[1]); err == nil {
					list = append(list, index{name: name, begin: begin, end: begin.AddDate(0, 0, 1), bytes: bytes})
				}
			}
		}
		slices.SortFunc(list, func(a, b index) int { return a.begin.Compare(b.begin) })
		if n := len(list); n > 0 && now.Before(list[n-1].end) {
			list[n-1].end = time.Time{}
		}
		return list, nil
	}
	conditions := object{"max_age": "1d"}
	if s.o.Budget > 0 {
		conditions["max_size"] = strconv.FormatInt(max(s.o.Budget/10, 1<<20), 10) + "b"
	}
	raw, err := json.Marshal(object{"conditions": conditions})
	if err != nil {
		return nil, err
	}
	if err := s.client.do(ctx, http.MethodPost, "/"+stream+"/_rollover", raw, nil); err != nil {
		return nil, fmt.Errorf("roll the data stream %s over: %w", stream, err)
	}
	return s.client.backing(ctx, sizes)
}

// backing are the indices of the data stream, oldest first.
func (c *client) backing(ctx context.Context, sizes map[string]int64) (list []index, err error) {
	var settings map[string]struct {
		Settings struct {
			Index struct {
				Created string `json:"creation_date"`
			}
		}
	}
	path := "/" + stream + "/_settings?filter_path=*.settings.index.creation_date"
	if err := c.do(ctx, http.MethodGet, path, nil, &settings); err != nil {
		return nil, fmt.Errorf("list the indices of %s: %w", stream, err)
	}
	for name, one := range settings {
		ms, err := strconv.ParseInt(one.Settings.Index.Created, 10, 64)
		if err == nil && backingIndex.MatchString(name) {
			list = append(list, index{name: name, begin: time.UnixMilli(ms), bytes: sizes[name]})
		}
	}
	slices.SortFunc(list, func(a, b index) int {
		if c := a.begin.Compare(b.begin); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	for i := range len(list) - 1 {
		list[i].end = list[i+1].begin
	}
	return list, nil
}

// sizes are the bytes that each index takes on the cluster's disks, replicas included.
func (c *client) sizes(ctx context.Context, pattern string) (map[string]int64, error) {
	var answer struct {
		Indices map[string]struct {
			Total struct {
				Store struct {
					Bytes int64 `json:"size_in_bytes"`
				}
			}
		}
	}
	path := "/" + pattern + "/_stats/store?filter_path=indices.*.total.store.size_in_bytes"
	if err := c.do(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return nil, fmt.Errorf("measure the indices: %w", err)
	}
	out := map[string]int64{}
	for name, one := range answer.Indices {
		out[name] = one.Total.Store.Bytes
	}
	return out, nil
}

// measure asks how many bytes all documents take.
func (s *Store) measure(ctx context.Context) error {
	sizes, err := s.client.sizes(ctx, s.target.Load().read()+","+countsPrefix+"*")
	if err != nil {
		return err
	}
	total := int64(0)
	for _, bytes := range sizes {
		total += bytes
	}
	s.bytes.Store(total)
	return nil
}
