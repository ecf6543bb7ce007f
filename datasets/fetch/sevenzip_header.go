package fetch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"github.com/ulikunitz/xz/lzma"
)

// Identifiers of 7zFormat.txt.
const (
	szEnd           = 0x00
	szHeader        = 0x01
	szMainStreams   = 0x04
	szFilesInfo     = 0x05
	szPackInfo      = 0x06
	szUnpackInfo    = 0x07
	szSubStreams    = 0x08
	szSize          = 0x09
	szCRC           = 0x0a
	szFolder        = 0x0b
	szUnpackSizes   = 0x0c
	szNumStreams    = 0x0d
	szEncodedHeader = 0x17
)

const (
	maxSevenZipHeader = 16 << 20 // bytes, packed and unpacked
	maxCoders         = 8
)

// szMethods are the coders that are let through to the library; encryption is not among them, nor are methods that
// 7-Zip itself does not write.
var szMethods = map[string]bool{
	"\x00": true, "\x03": true, "\x21": true, "\x03\x01\x01": true, // copy, delta, LZMA2, LZMA
	"\x04\x01\x08": true, "\x04\x02\x02": true, // deflate, bzip2
	"\x03\x03\x01\x03": true, "\x03\x03\x01\x1b": true, "\x03\x03\x02\x05": true, // BCJ, BCJ2, PPC
	"\x03\x03\x05\x01": true, "\x03\x03\x08\x05": true, // ARM, SPARC
}

// sevenZipHeader walks a header as the library does, but believes nothing. After the first error every read gives 0.
type sevenZipHeader struct {
	rest     []byte
	limits   Limits
	err      error
	packPos  int64
	packed   []int64
	folders  []szFolderInfo
	unpacked int64 // bytes over all folders
}

type szFolderInfo struct {
	coders  []szCoder
	outputs int
	sizes   []int64
	streams int64
}

type szCoder struct {
	id    string
	props []byte
}

func (h *sevenZipHeader) fail(format string, args ...any) {
	if h.err == nil {
		h.err = fmt.Errorf("%w: 7z: %s", ErrFormat, fmt.Sprintf(format, args...))
		h.rest = nil
	}
}

func (h *sevenZipHeader) byte() byte {
	if len(h.rest) == 0 {
		h.fail("header ends early")
		return 0
	}
	b := h.rest[0]
	h.rest = h.rest[1:]
	return b
}

func (h *sevenZipHeader) bytes(n int64) []byte {
	if n < 0 || n > int64(len(h.rest)) {
		h.fail("header ends early")
		return nil
	}
	b := h.rest[:n]
	h.rest = h.rest[n:]
	return b
}

// number reads a variable-length integer.
func (h *sevenZipHeader) number() int64 {
	first := h.byte()
	extra := bits.LeadingZeros8(^first)
	var v uint64
	if extra < 7 {
		v = uint64(first&(1<<(8-extra)-1)) << (8 * extra)
	}
	for i := range extra {
		v |= uint64(h.byte()) << (8 * i)
	}
	if v > 1<<62 {
		h.fail("number out of range")
		return 0
	}
	return int64(v)
}

// count reads how many of something follow. Each takes at least a byte of header in an honest archive.
func (h *sevenZipHeader) count() int {
	n := h.number()
	if n > int64(len(h.rest)) {
		h.fail("%d items in a header of %d bytes", n, len(h.rest))
		return 0
	}
	if n > int64(h.limits.Entries)+maxCoders {
		if h.err == nil {
			h.err = fmt.Errorf("%w: 7z: %d members", ErrBomb, n)
			h.rest = nil
		}
		return 0
	}
	return int(n)
}

// digests skips n optional CRCs.
func (h *sevenZipHeader) digests(n int) {
	defined := n
	if h.byte() == 0 {
		defined = 0
		for _, b := range h.bytes(int64(n+7) / 8) {
			defined += bits.OnesCount8(b)
		}
	}
	h.bytes(int64(defined) * 4)
}

func (h *sevenZipHeader) header() {
	id := h.byte()
	if id == szMainStreams {
		h.streams()
		id = h.byte()
	}
	if id == szFilesInfo {
		h.count() // what follows is sized by this count alone
		return
	}
	if id != szEnd {
		h.fail("unexpected part %#x", id)
	}
}

func (h *sevenZipHeader) streams() {
	id := h.byte()
	if id == szPackInfo {
		h.packInfo()
		id = h.byte()
	}
	if id == szUnpackInfo {
		h.unpackInfo()
		id = h.byte()
	}
	if id == szSubStreams {
		h.subStreams()
		id = h.byte()
	}
	if id != szEnd {
		h.fail("unexpected part %#x", id)
	}
}

func (h *sevenZipHeader) packInfo() {
	h.packPos = h.number()
	n := h.count()
	id := h.byte()
	if id == szSize {
		for range n {
			h.packed = append(h.packed, h.number())
		}
		id = h.byte()
	}
	if id == szCRC {
		h.digests(n)
		id = h.byte()
	}
	if id != szEnd {
		h.fail("unexpected part %#x", id)
	}
}

func (h *sevenZipHeader) unpackInfo() {
	if h.byte() != szFolder {
		h.fail("no folders")
	}
	n := h.count()
	if h.byte() != 0 {
		h.fail("external folders")
	}
	for range n {
		h.folders = append(h.folders, h.folder())
	}
	if h.byte() != szUnpackSizes {
		h.fail("no sizes")
	}
	for i := range h.folders {
		f := &h.folders[i]
		for range f.outputs {
			size := h.number()
			if size > h.limits.Bytes-h.unpacked {
				if h.err == nil {
					h.err = fmt.Errorf("%w: 7z: more than %d bytes unpacked", ErrBomb, h.limits.Bytes)
				}
				return
			}
			f.sizes = append(f.sizes, size)
		}
		if len(f.sizes) > 0 {
			h.unpacked += f.sizes[len(f.sizes)-1]
		}
	}
	id := h.byte()
	if id == szCRC {
		h.digests(n)
		id = h.byte()
	}
	if id != szEnd {
		h.fail("unexpected part %#x", id)
	}
}

func (h *sevenZipHeader) folder() szFolderInfo {
	f := szFolderInfo{streams: 1}
	coders := h.number()
	if coders < 1 || coders > maxCoders {
		h.fail("%d coders", coders)
		return f
	}
	inputs := int64(0)
	for range coders {
		flags := h.byte()
		c := szCoder{id: string(h.bytes(int64(flags & 0xf)))}
		in, out := int64(1), int64(1)
		if flags&0x10 != 0 {
			in, out = h.number(), h.number()
		}
		if flags&0x20 != 0 {
			c.props = h.bytes(h.number())
		}
		if in > maxCoders || out != 1 || flags&0xc0 != 0 {
			h.fail("coder with %d inputs and %d outputs", in, out)
			return f
		}
		h.checkCoder(c)
		inputs += in
		f.outputs++
		f.coders = append(f.coders, c)
	}
	bound := int64(f.outputs - 1)
	if inputs < bound+1 {
		h.fail("%d inputs for %d outputs", inputs, f.outputs)
		return f
	}
	for range bound {
		h.number()
		h.number()
	}
	if streams := inputs - bound; streams > 1 {
		for range streams {
			h.number()
		}
	}
	return f
}

// checkCoder refuses unknown methods and dictionaries beyond the bound.
func (h *sevenZipHeader) checkCoder(c szCoder) {
	if h.err != nil {
		return
	}
	size := int64(0)
	switch {
	case !szMethods[c.id]:
		h.fail("method %x is encrypted or not supported", c.id)
	case c.id == "\x21" && len(c.props) == 1 && c.props[0] <= 40:
		size = lzma2Size(c.props[0])
	case c.id == "\x03\x01\x01" && len(c.props) == 5:
		size = int64(binary.LittleEndian.Uint32(c.props[1:]))
	case c.id == "\x21" || c.id == "\x03\x01\x01":
		h.fail("wrong LZMA properties")
	}
	if _, err := checkDictionary(size); err != nil && h.err == nil {
		h.err = err
	}
}

func (h *sevenZipHeader) subStreams() {
	id, files := h.byte(), int64(0)
	if id == szNumStreams {
		for i := range h.folders {
			h.folders[i].streams = h.number()
		}
		id = h.byte()
	}
	for _, f := range h.folders {
		if files += f.streams; files > int64(h.limits.Entries) || files > int64(len(h.rest)) {
			h.fail("%d files in a header of %d bytes", files, len(h.rest))
			return
		}
	}
	if id == szSize {
		for _, f := range h.folders {
			if f.streams == 0 {
				h.fail("sizes of a folder without files") // the library would write out of bounds
			}
			for range f.streams - 1 {
				h.number()
			}
		}
		id = h.byte()
	}
	if id == szCRC {
		h.digests(int(files)) // the library expects one for every file
		id = h.byte()
	}
	if id != szEnd {
		h.fail("unexpected part %#x", id)
	}
}

// decode unpacks a header that is itself packed: one folder of one coder, always LZMA in practice.
func (h *sevenZipHeader) decode(streams *io.SectionReader) ([]byte, error) {
	if h.err == nil && (len(h.folders) != 1 || len(h.folders[0].coders) != 1 || len(h.packed) != 1) {
		h.fail("packed header of an unusual kind")
	}
	if h.err != nil {
		return nil, h.err
	}
	f := h.folders[0]
	in := io.NewSectionReader(streams, h.packPos, h.packed[0])
	var r io.Reader
	var err error
	switch c := f.coders[0]; c.id {
	case "\x00":
		r = in
	case "\x03\x01\x01":
		head := binary.LittleEndian.AppendUint64(bytes.Clone(c.props), uint64(f.sizes[0]))
		r, err = lzma.NewReader(io.MultiReader(bytes.NewReader(head), in))
	case "\x21":
		r, err = lzma.Reader2Config{DictCap: int(max(lzma2Size(c.props[0]), lzma.MinDictCap))}.NewReader2(in)
	default:
		err = fmt.Errorf("method %x", c.id)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: 7z: packed header: %w", ErrFormat, err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, f.sizes[0]))
	if err != nil {
		return nil, fmt.Errorf("%w: 7z: packed header: %w", ErrFormat, err)
	}
	return plain, nil
}
