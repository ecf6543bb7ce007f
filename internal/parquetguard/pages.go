package parquetguard

import (
	"bufio"
	"bytes"
	"encoding/binary"
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

// chunk checks the pages in r, which holds a column chunk and no more.
func (g *pageGuard) chunk(r io.Reader, bytesIn int64) error {
	left := bytesIn
	buf := &bytes.Buffer{} // what was read and not yet used
	for n := 0; ; n++ {
		if _, err := io.CopyN(buf, r, min(int64(headerSize-min(buf.Len(), headerSize)), left)); err != nil && err != io.EOF {
			return err
		}
		if buf.Len() == 0 {
			return nil
		}
		header, used, err := pageHeader(buf.Bytes()[:min(buf.Len(), headerSize)])
		if err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
		buf.Next(used)
		left -= int64(used)
		body := int64(header.CompressedPageSize)
		switch {
		case body < 0 || body > left:
			return fmt.Errorf("page %d: %d bytes where %d are left", n, body, left)
		case header.UncompressedPageSize < 0 || int(header.UncompressedPageSize) > g.size || body > int64(g.size):
			return fmt.Errorf("page %d: %d bytes, more than %d", n, header.UncompressedPageSize, g.size)
		}
		if more := body - int64(buf.Len()); more > 0 {
			if _, err := io.CopyN(buf, r, more); err != nil {
				return fmt.Errorf("page %d: the file is truncated: %w", n, err)
			}
		}
		if err := g.page(header, buf.Next(int(body))); err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
		left -= body
	}
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
		levels, rest, err := prefixed(data)
		if err != nil {
			return err
		}
		if err := checkRuns(levels, 1, values); err != nil {
			return err
		}
		data = rest
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
	data := body[levels:]
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

// prefixed cuts data at the length in its first four bytes.
func prefixed(data []byte) (part, rest []byte, err error) {
	if len(data) < 4 {
		return nil, nil, io.ErrUnexpectedEOF
	}
	n := int64(binary.LittleEndian.Uint32(data))
	if data = data[4:]; n > int64(len(data)) {
		return nil, nil, io.ErrUnexpectedEOF
	}
	return data[:n], data[n:], nil
}

// decompress gives the page as the library will see it. size is what the header says it becomes.
func (g *pageGuard) decompress(data []byte, size int) ([]byte, error) {
	switch g.codec {
	case format.Uncompressed:
		return data, nil
	case format.Snappy:
		if n, err := snappy.DecodedLen(data); err != nil || n != size {
			return nil, fmt.Errorf("snappy: %d bytes where the header says %d (%w)", n, size, errDamaged)
		}
		return snappy.Decode(nil, data)
	case format.Zstd:
		if g.zstd == nil {
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxMemory(uint64(g.size)+1<<20))
			if err != nil {
				return nil, err
			}
			g.zstd = d
		}
		return sized(g.zstd.DecodeAll(data, nil))(size)
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return sized(io.ReadAll(io.LimitReader(z, int64(size)+1)))(size)
	case format.Brotli:
		return sized(io.ReadAll(io.LimitReader(brotli.NewReader(bytes.NewReader(data)), int64(size)+1)))(size)
	}
	return nil, notRead(g.codec)
}

var errDamaged = errors.New("damaged")

// sized passes on what has the size that it was said to have.
func sized(data []byte, err error) func(size int) ([]byte, error) {
	return func(size int) ([]byte, error) {
		if err == nil && len(data) != size {
			err = fmt.Errorf("%d bytes where the header says %d (%w)", len(data), size, errDamaged)
		}
		return data, err
	}
}

// values checks the counts that an encoding keeps among its data.
func (g *pageGuard) values(e format.Encoding, data []byte, most int) error {
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
		runs, _, err := prefixed(data)
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
func checkRuns(data []byte, width, most int) error {
	if width > 32 {
		return fmt.Errorf("values of %d bits", width)
	}
	sum := uint64(0)
	for len(data) > 0 {
		u, n := binary.Uvarint(data)
		if n <= 0 {
			return io.ErrUnexpectedEOF
		}
		data = data[n:]
		size, count := uint64(width+7)/8, u>>1
		if u&1 != 0 {
			size, count = u>>1*uint64(width), u>>1*8
		}
		// The last packed group is filled up to eight.
		if sum += count; u>>1 > uint64(most)+8 || sum > uint64(most)+8 {
			return fmt.Errorf("runs of %d values where the header says %d", sum, most)
		}
		if size > uint64(len(data)) {
			return io.ErrUnexpectedEOF
		}
		data = data[size:]
	}
	return nil
}

// checkDelta looks at the header of delta-packed integers: block size, mini-blocks, count.
func checkDelta(data []byte, most int) error {
	var fields [3]uint64
	for i := range fields {
		u, n := binary.Uvarint(data)
		if n <= 0 {
			return io.ErrUnexpectedEOF
		}
		fields[i], data = u, data[n:]
	}
	if fields[0] > 1<<16 || fields[1] > fields[0] || fields[2] > uint64(most) {
		return fmt.Errorf("%d values in blocks of %d where the header says %d values", fields[2], fields[0], most)
	}
	return nil
}
