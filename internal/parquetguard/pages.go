package parquetguard

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// pageGuard walks the pages of a column chunk and refuses those that ask for more than honest ones need.
type pageGuard struct {
	codec    format.CompressionCodec
	optional bool // the column has definition levels
	size     int  // bounds a page in bytes
	zstd     *zstd.Decoder
}

// Column checks the pages of a column chunk in a file of size bytes. optional says that the column has definition
// levels. It refuses LZ4 and LZO, because parquet-go v0.32's decoder answers damaged LZ4 by doubling its buffer without
// end.
func Column(at io.ReaderAt, size int64, m *format.ColumnMetaData, optional bool) error {
	if m.Codec == format.Lz4 || m.Codec == format.Lz4Raw || m.Codec == format.LZO {
		return notRead(m.Codec)
	}
	start := m.DataPageOffset
	if m.DictionaryPageOffset != 0 {
		start = m.DictionaryPageOffset
	}
	if start < 0 || m.TotalCompressedSize < 0 || start > size || m.TotalCompressedSize > size-start {
		return errors.New("lies outside the file")
	}
	// Writers aim at pages of 1 MiB, and few write a whole row group as one page.
	g := &pageGuard{codec: m.Codec, optional: optional, size: 16<<20 + int(min(size, 16<<20))}
	section := io.NewSectionReader(at, start, m.TotalCompressedSize)
	return g.chunk(bufio.NewReaderSize(section, 256<<10), m.TotalCompressedSize)
}

func notRead(c format.CompressionCodec) error {
	return fmt.Errorf("compression %v is not read. Try: write it with snappy or zstd", c)
}

const (
	pageValues = 4 << 20 // a page's values; pyarrow writes up to 1,048,576 as one page
	headerSize = 64 << 10
)

// chunk checks the pages in r, which holds a column chunk of left bytes and no more.
func (g *pageGuard) chunk(r io.Reader, left int64) error {
	buf := &bytes.Buffer{} // what was read and not yet used
	for n := 0; ; n++ {
		more := min(int64(headerSize-min(buf.Len(), headerSize)), left)
		if _, err := io.CopyN(buf, r, more); err != nil && err != io.EOF {
			return err
		}
		if buf.Len() == 0 {
			return nil
		}
		used, err := g.next(buf, r, left)
		if err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
		left -= used
	}
}

// next checks the page that begins in buf, of left bytes in buf and r, and returns its size with its header.
func (g *pageGuard) next(buf *bytes.Buffer, r io.Reader, left int64) (int64, error) {
	header, used, err := pageHeader(buf.Bytes()[:min(buf.Len(), headerSize)])
	if err != nil {
		return 0, err
	}
	buf.Next(used)
	left -= int64(used)
	body := int64(header.CompressedPageSize)
	switch {
	case body < 0 || body > left:
		return 0, fmt.Errorf("%d bytes where %d are left", body, left)
	case header.UncompressedPageSize < 0 || int(header.UncompressedPageSize) > g.size || body > int64(g.size):
		return 0, fmt.Errorf("%d bytes, more than %d", header.UncompressedPageSize, g.size)
	}
	if more := body - int64(buf.Len()); more > 0 {
		if _, err := io.CopyN(buf, r, more); err != nil {
			return 0, fmt.Errorf("the file is truncated: %w", err)
		}
	}
	return int64(used) + body, g.page(header, buf.Next(int(body)))
}

// pageHeader reads a header at the start of data and returns its size.
func pageHeader(data []byte) (*format.PageHeader, int, error) {
	var compact thrift.CompactProtocol
	h := &format.PageHeader{}
	// Reading from bytes checks lengths before it makes room; reading from a stream counts.
	if err := thrift.NewDecoder(compact.NewReaderFromBytes(data)).Decode(h); err != nil {
		return nil, 0, fmt.Errorf("header: %w", err)
	}
	r := bytes.NewReader(data)
	if err := thrift.NewDecoder(compact.NewReader(r)).Decode(&format.PageHeader{}); err != nil {
		return nil, 0, fmt.Errorf("header: %w", err)
	}
	return h, len(data) - r.Len(), nil
}

func (g *pageGuard) page(h *format.PageHeader, body []byte) error {
	switch h.Type {
	case format.DictionaryPage:
		data, err := g.decompress(body, int(h.UncompressedPageSize))
		if err != nil {
			return err
		}
		if n := int(h.DictionaryPageHeader.V.NumValues); n < 0 || n > max(len(data), 1) {
			return fmt.Errorf("%d values in %d bytes", n, len(data))
		}
		return nil
	case format.DataPage:
		return g.pageV1(h, body)
	case format.DataPageV2:
		return g.pageV2(h, body)
	}
	return fmt.Errorf("of unknown type %v", h.Type)
}

func (g *pageGuard) pageV1(h *format.PageHeader, body []byte) error {
	p := h.DataPageHeader.V
	values, err := valueCount(p.NumValues)
	if err != nil {
		return err
	}
	data, err := g.decompress(body, int(h.UncompressedPageSize))
	if err != nil {
		return err
	}
	if g.optional {
		if p.DefinitionLevelEncoding != format.RLE {
			return fmt.Errorf("definition levels in %v, which is deprecated, are not read", p.DefinitionLevelEncoding)
		}
		levels, err := data.prefixed()
		if err == nil {
			err = checkRuns(levels, 1, values)
		}
		if err != nil {
			return err
		}
	}
	return g.values(p.Encoding, data, values)
}

func (g *pageGuard) pageV2(h *format.PageHeader, body []byte) error {
	p := h.DataPageHeaderV2.V
	values, err := valueCount(p.NumValues)
	if err != nil {
		return err
	}
	if p.NumNulls < 0 || p.NumNulls > p.NumValues {
		return fmt.Errorf("%d nulls among %d values", p.NumNulls, p.NumValues)
	}
	levels := int64(p.RepetitionLevelsByteLength) + int64(p.DefinitionLevelsByteLength)
	if p.RepetitionLevelsByteLength < 0 || p.DefinitionLevelsByteLength < 0 || levels > int64(len(body)) ||
		levels > int64(h.UncompressedPageSize) {
		return errors.New("levels outside the page")
	}
	if err := checkRuns(body[p.RepetitionLevelsByteLength:levels], 1, values); g.optional && err != nil {
		return err
	}
	data := cursor(body[levels:])
	if !p.IsCompressed.Valid || p.IsCompressed.V {
		if data, err = g.decompress(data, int(int64(h.UncompressedPageSize)-levels)); err != nil {
			return err
		}
	}
	return g.values(p.Encoding, data, values)
}

func valueCount(n int32) (int, error) {
	if n < 0 || n > pageValues {
		return 0, fmt.Errorf("%d values, more than %d", n, pageValues)
	}
	return int(n), nil
}

// decompress gives the page as the library will see it. size is what the header says it becomes.
func (g *pageGuard) decompress(data []byte, size int) (out cursor, err error) {
	switch g.codec {
	case format.Uncompressed:
		return data, nil
	case format.Snappy:
		if n, err := snappy.DecodedLen(data); err != nil || n != size {
			return nil, fmt.Errorf("snappy: %d bytes where the header says %d (%w)", n, size, errDamaged)
		}
		out, err = snappy.Decode(nil, data)
	case format.Zstd:
		if g.zstd == nil {
			if g.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxMemory(uint64(g.size)+1<<20)); err != nil {
				return nil, err
			}
		}
		out, err = g.zstd.DecodeAll(data, nil)
	case format.Gzip:
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(data)); err == nil {
			out, err = io.ReadAll(io.LimitReader(z, int64(size)+1))
		}
	case format.Brotli:
		out, err = io.ReadAll(io.LimitReader(brotli.NewReader(bytes.NewReader(data)), int64(size)+1))
	default:
		return nil, notRead(g.codec)
	}
	if err == nil && len(out) != size {
		err = fmt.Errorf("%d bytes where the header says %d (%w)", len(out), size, errDamaged)
	}
	return out, err
}

var errDamaged = errors.New("damaged")

// values checks the counts that an encoding keeps among its data.
func (g *pageGuard) values(e format.Encoding, data cursor, most int) error {
	switch e {
	case format.Plain, format.ByteStreamSplit:
		return nil
	//lint:ignore SA1019 files of old writers have it
	case format.PlainDictionary, format.RLEDictionary:
		if len(data) == 0 {
			return nil
		}
		return checkRuns(data[1:], int(data[0]), most)
	case format.RLE:
		runs, err := data.prefixed()
		if err != nil {
			return err
		}
		return checkRuns(runs, 1, most)
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		return checkDelta(data, most)
	case format.DeltaByteArray:
		if err := checkDelta(data, most); err != nil {
			return err
		}
		prefixes, err := new(delta.BinaryPackedEncoding).DecodeInt32(nil, data)
		sum := int64(len(data))
		for _, n := range prefixes {
			sum += int64(max(n, 0))
		}
		if err != nil || sum > int64(g.size) {
			return fmt.Errorf("shared prefixes of %d bytes (%w)", sum, errDamaged)
		}
		return nil
	}
	return fmt.Errorf("encoding %v is not read", e)
}

// checkRuns walks the hybrid of run lengths and bit packing (Encodings.md of parquet-format).
func checkRuns(data cursor, width, most int) error {
	if width > 32 {
		return fmt.Errorf("values of %d bits", width)
	}
	sum := uint64(0)
	for len(data) > 0 {
		u, err := data.uvarint()
		if err != nil {
			return err
		}
		size, count := uint64(width+7)/8, u>>1
		if u&1 != 0 {
			size, count = u>>1*uint64(width), u>>1*8
		}
		// The last packed group is filled up to eight.
		if sum += count; u>>1 > uint64(most)+8 || sum > uint64(most)+8 {
			return fmt.Errorf("runs of %d values where the header says %d", sum, most)
		}
		if _, err := data.take(size); err != nil {
			return err
		}
	}
	return nil
}

// checkDelta looks at the header of delta-packed integers: block size, mini-blocks, count.
func checkDelta(data cursor, most int) error {
	var fields [3]uint64
	for i := range fields {
		var err error
		if fields[i], err = data.uvarint(); err != nil {
			return err
		}
	}
	if fields[0] > 1<<16 || fields[1] > fields[0] || fields[2] > uint64(most) {
		return fmt.Errorf("%d values in blocks of %d where the header says %d values", fields[2], fields[0], most)
	}
	return nil
}
