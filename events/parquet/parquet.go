// Package parquet reads tables of DNS queries in Parquet, as ENTRADA makes them of captures. It registers the format
// "entrada" with package events.
package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/events/logs"
	"github.com/degas-dns/degas/internal/parquetguard"
	"github.com/degas-dns/degas/internal/unpack"
)

func init() {
	events.Register(&events.Format{Name: "entrada", Title: "ENTRADA's tables of queries, as Parquet", Unit: "rows",
		Sniff: sniff, Open: open})
}

func sniff(head []byte) (score int, missing string) {
	if !bytes.HasPrefix(head, []byte("PAR1")) {
		return 0, "it does not begin with PAR1"
	}
	return 60, "" // the names of the columns are at the file's end
}

// column is what a column says about an event.
type column struct {
	names []string // as ENTRADA 1 and 2 call it, and others
	set   func(e *events.Event, v parquet.Value)
}

// reader reads the columns of one row group after another.
type reader struct {
	stats   *events.Stats
	file    *parquet.File
	at      io.ReaderAt
	size    int64
	groups  []parquet.RowGroup // not yet begun
	group   int                // number of the next one
	left    int64              // rows of the current group
	columns []*values
	line    int64
	name    []byte // as the file has it
	buf     []byte
}

// values reads one column's values in order.
type values struct {
	set   func(e *events.Event, v parquet.Value)
	leaf  *parquet.Column
	index int
	pages parquet.Pages
	page  parquet.ValueReader
	buf   [256]parquet.Value
	have  []parquet.Value
}

func open(in *events.Source) (_ events.Reader, err error) {
	plain, ok := in.Reader.(*unpack.Plain)
	if !ok {
		return nil, errors.New("a Parquet file must not be packed, nor a stream. Try: unpack it first")
	}
	defer recovered(&err)
	if err := parquetguard.Footer(plain.ReaderAt, plain.Size); err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	file, err := parquet.OpenFile(plain.ReaderAt, plain.Size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	r := &reader{stats: in.Stats, file: file, at: plain.ReaderAt, size: plain.Size, groups: file.RowGroups()}
	named := false
	for _, c := range r.known() {
		for _, name := range c.names {
			leaf := file.Root().Column(name)
			if leaf == nil || !leaf.Leaf() || leaf.MaxRepetitionLevel() > 0 {
				continue
			}
			named = named || c.names[0] == "qname"
			r.columns = append(r.columns, &values{set: c.set, leaf: leaf, index: leaf.Index()})
			break
		}
	}
	if !named {
		return nil, errors.New("parquet: no column qname, dns_qname, query_name or query")
	}
	return r, nil
}

// recovered makes an error of a panic: the library trusts its input in places.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("parquet: damaged file: %v", p)
	}
}

// known are the columns that are read.
func (r *reader) known() []column {
	return []column{
		{names: []string{"qname", "dns_qname", "query_name", "query"},
			set: func(_ *events.Event, v parquet.Value) { r.name = append(r.name[:0], text(v)...) }},
		{names: []string{"src", "ip_src", "src_ip", "source_ip"},
			set: func(e *events.Event, v parquet.Value) { setPeer(&e.Client, v) }},
		{names: []string{"dst", "ip_dst", "dst_ip", "destination_ip"},
			set: func(e *events.Event, v parquet.Value) { setPeer(&e.Server, v) }},
		{names: []string{"srcp", "prot_src_port", "src_port"},
			set: func(e *events.Event, v parquet.Value) { e.Client.Port = uint16(number(v, 1<<16-1)) }},
		{names: []string{"dstp", "prot_dst_port", "dst_port"},
			set: func(e *events.Event, v parquet.Value) { e.Server.Port = uint16(number(v, 1<<16-1)) }},
		{names: []string{"time", "unixtime", "timestamp"},
			set: func(e *events.Event, v parquet.Value) { e.Time, _ = logs.Time(text(v)) }},
		{names: []string{"qtype", "dns_qtype", "query_type"},
			set: func(e *events.Event, v parquet.Value) { e.Type, _ = events.ParseType(string(text(v))) }},
		{names: []string{"rcode", "dns_rcode", "response_code"}, set: setRCode},
		{names: []string{"id", "dns_id"}, set: func(e *events.Event, v parquet.Value) { e.ID = uint16(number(v, 1<<16-1)) }},
		{names: []string{"prot", "protocol"}, set: setTransport},
	}
}

func setPeer(p *events.Peer, v parquet.Value) {
	port := p.Port
	if *p = logs.Peer(text(v)); p.Port == 0 {
		p.Port = port
	}
}

// setRCode reads a response code: ENTRADA writes -1 for a query without a response.
func setRCode(e *events.Event, v parquet.Value) {
	if e.RCode = events.ParseRCode(string(text(v))); e.RCode != events.NoRCode {
		e.Kind = events.Both
	}
}

// setTransport reads a number of IANA's protocols.
func setTransport(e *events.Event, v parquet.Value) {
	switch string(text(v)) {
	case "17":
		e.Transport = events.UDP
	case "6":
		e.Transport = events.TCP
	default:
		e.Transport = events.ParseTransport(string(text(v)))
	}
}

// text is a value as text, nil for null. Numbers with a fraction are times in seconds.
func text(v parquet.Value) []byte {
	switch {
	case v.IsNull():
		return nil
	case v.Kind() == parquet.ByteArray, v.Kind() == parquet.FixedLenByteArray:
		return v.ByteArray()
	case v.Kind() == parquet.Double:
		return fmt.Appendf(nil, "%.6f", v.Double())
	case v.Kind() == parquet.Int96: // Impala's and old Spark's times: nanoseconds of a Julian day
		i := v.Int96()
		at := time.Unix((int64(i[2])-2440588)*86400, int64(uint64(i[1])<<32|uint64(i[0])))
		return at.UTC().AppendFormat(nil, time.RFC3339Nano)
	}
	return []byte(v.String())
}

// number is a value from 0 to most, 0 if it is none.
func number(v parquet.Value, most int64) int64 {
	n := int64(0)
	switch {
	case v.IsNull():
	case v.Kind() == parquet.Int32:
		n = int64(v.Int32())
	case v.Kind() == parquet.Int64:
		n = v.Int64()
	}
	if n < 0 || n > most {
		return 0
	}
	return n
}

// Next implements events.Reader.
func (r *reader) Next(e *events.Event) (err error) {
	defer recovered(&err)
	for {
		for r.left == 0 {
			if err := r.nextGroup(); err != nil {
				return err
			}
		}
		r.left--
		r.line++
		e.Reset()
		r.name = r.name[:0]
		for _, c := range r.columns {
			v, err := c.next()
			if err != nil {
				return fmt.Errorf("parquet: row %d, column %s: %w", r.line, c.leaf.Name(), err)
			}
			c.set(e, v)
		}
		r.stats.Units++
		if e.Name, err = logs.Name(r.buf[:0], r.name); err == nil {
			if &e.Name[0] != &r.name[0] {
				r.buf = e.Name
			}
			e.Line = r.line
			r.stats.Events++
			return nil
		}
		switch err := err.(type) {
		case events.Skip:
			r.stats.Skip(string(err))
		case events.Refuse:
			r.stats.Refuse(string(err))
		}
	}
}

// nextGroup begins the next row group, after a look at its pages.
func (r *reader) nextGroup() error {
	r.close()
	if len(r.groups) == 0 {
		return io.EOF
	}
	group := r.groups[0]
	r.groups = r.groups[1:]
	for _, c := range r.columns {
		meta := &r.file.Metadata().RowGroups[r.group].Columns[c.index].MetaData
		if err := parquetguard.Column(r.at, r.size, meta, c.leaf.Optional()); err != nil {
			return fmt.Errorf("parquet: column %s of row group %d: %w", c.leaf.Name(), r.group, err)
		}
		c.pages, c.page, c.have = group.ColumnChunks()[c.index].Pages(), nil, nil
	}
	r.group++
	r.left = group.NumRows()
	return nil
}

// next is the column's next value.
func (c *values) next() (parquet.Value, error) {
	for len(c.have) == 0 {
		if c.page == nil {
			page, err := c.pages.ReadPage()
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return parquet.Value{}, err
			}
			c.page = page.Values()
		}
		n, err := c.page.ReadValues(c.buf[:])
		c.have = c.buf[:n]
		if err == io.EOF || err == nil && n == 0 {
			c.page = nil
		} else if err != nil {
			return parquet.Value{}, err
		}
	}
	v := c.have[0]
	c.have = c.have[1:]
	return v, nil
}

func (r *reader) close() (err error) {
	for _, c := range r.columns {
		if c.pages != nil {
			err = errors.Join(err, c.pages.Close())
			c.pages = nil
		}
	}
	return err
}

// Close implements io.Closer.
func (r *reader) Close() error { return r.close() }
