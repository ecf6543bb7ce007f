package search

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Names in the cluster. Nothing that comes from an event is ever part of one.
const (
	stream       = "logs-degas.dns-default" // the data stream of events: type, dataset and namespace
	datedPrefix  = "degas-dns-"             // of indices of events by day, where there are no data streams
	countsPrefix = "degas-counts-"          // of indices of counts
	dayLayout    = "2006.01.02"             // behind a prefix
)

// templateVersion is _meta.version of the templates. An older one in the cluster is replaced, a newer one stays.
const templateVersion = 1

// The index templates, without what settle puts in.
var (
	//go:embed events.json
	eventsTemplate []byte
	//go:embed counts.json
	countsTemplate []byte
)

// target says where events go. It is settled before the first event: an index that an event made by itself would have
// the wrong types for ever.
type target struct {
	product, version string
	dataStream       bool
}

// write is the index that a segment of a day's events is written to, and read the pattern of all.
func (t target) write(day time.Time) string {
	if t.dataStream {
		return stream
	}
	return datedPrefix + day.UTC().Format(dayLayout)
}

func (t target) read() string {
	if t.dataStream {
		return stream
	}
	return datedPrefix + "*"
}

// settle asks what the cluster is, and puts the templates there.
func (c *client) settle(ctx context.Context) (t target, err error) {
	if t.product, t.version, err = c.detect(ctx); err != nil {
		return t, err
	}
	if err := c.putTemplate(ctx, "degas-counts", countsTemplate, false); err != nil {
		return t, err
	}
	err = c.putTemplate(ctx, "degas-dns", eventsTemplate, true)
	if refusal := (*answerError)(nil); errors.As(err, &refusal) && refusal.status == http.StatusBadRequest {
		return t, c.putTemplate(ctx, "degas-dns", eventsTemplate, false) // this product has no data streams
	}
	if err != nil {
		return t, err
	}
	t.dataStream = true
	return t, c.makeStream(ctx)
}

// putTemplate writes an index template unless the cluster has this version or a newer one. One that was written for
// dated indices is replaced by one for a data stream, after an update of the cluster.
func (c *client) putTemplate(ctx context.Context, name string, text []byte, dataStream bool) error {
	var there struct {
		Templates []struct {
			Template struct {
				Meta       struct{ Version int } `json:"_meta"`
				DataStream *struct{}             `json:"data_stream"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	err := c.do(ctx, http.MethodGet, "/_index_template/"+name, nil, &there)
	if refusal := (*answerError)(nil); err != nil && !(errors.As(err, &refusal) && refusal.status == http.StatusNotFound) {
		return fmt.Errorf("read index template %s: %w", name, err)
	}
	for _, found := range there.Templates {
		t := found.Template
		if t.Meta.Version >= templateVersion && (t.DataStream != nil) == dataStream {
			return nil
		}
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		return err
	}
	body["_meta"] = map[string]int{"version": templateVersion}
	if dataStream {
		body["data_stream"] = struct{}{}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if err := c.do(ctx, http.MethodPut, "/_index_template/"+name, raw, nil); err != nil {
		return fmt.Errorf("write index template %s: %w", name, err)
	}
	return nil
}

// makeStream makes the data stream if need be.
func (c *client) makeStream(ctx context.Context) error {
	var there struct {
		Streams []struct{ Name string } `json:"data_streams"`
	}
	err := c.do(ctx, http.MethodGet, "/_data_stream/"+stream, nil, &there)
	if err == nil && len(there.Streams) == 1 {
		return nil
	}
	err = c.do(ctx, http.MethodPut, "/_data_stream/"+stream, nil, nil)
	if refusal := (*answerError)(nil); errors.As(err, &refusal) {
		switch {
		case refusal.kind == "resource_already_exists_exception":
			return nil
		case refusal.status == http.StatusBadRequest && strings.Contains(refusal.text, "exist"):
			return fmt.Errorf("make the data stream %s: %w. Try: delete the index of that name", stream, err)
		}
	}
	if err != nil {
		return fmt.Errorf("make the data stream %s: %w", stream, err)
	}
	return nil
}
