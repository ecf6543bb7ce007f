package fetch

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// The xz container is read here, and only LZMA2 by the library: the library's own container reader allocates whatever
// dictionary a file claims to need, up to 4 GiB, and later blocks' claims cannot be seen in advance from outside.
// Format: https://tukaani.org/xz/xz-file-format.txt

var (
	xzMagic       = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
	xzFooterMagic = []byte{'Y', 'Z'}
	errXZ         = errors.New("damaged xz file")
)

const lzma2Filter = 0x21

// xzReader reads streams one after the other until the end of the file.
type xzReader struct {
	in     *countingByteReader
	flags  [2]byte   // of the current stream
	block  io.Reader // of the current block; nil between blocks
	check  hash.Hash // over the block; nil when there is none
	start  int64     // where the block's header began
	size   int64     // unpacked bytes of the block
	sizes  xzSizes   // as the block header declares
	index  []xzRecord
	inside bool // a stream header was read and its footer was not
	err    error
}

type xzRecord struct{ unpadded, unpacked int64 }

// xzSizes are what a block header may say about the block; -1 when it does not.
type xzSizes struct{ header, packed, unpacked int64 }

func newXZReader(r io.Reader) *xzReader {
	return &xzReader{in: &countingByteReader{r: bufio.NewReaderSize(r, 1<<16)}}
}

func (x *xzReader) Read(p []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			x.err = x.next()
			continue
		}
		n, err := x.block.Read(p)
		x.size += int64(n)
		if x.check != nil {
			x.check.Write(p[:n])
		}
		if errors.Is(err, io.EOF) {
			err = x.endBlock()
			x.block = nil
		}
		if err != nil {
			x.err = truncated(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, x.err
}

// next goes to the next block, reading what lies between; io.EOF after the last stream.
func (x *xzReader) next() error {
	if !x.inside {
		if err := x.streamHeader(); err != nil {
			return err
		}
	}
	x.start = x.in.n
	first, err := x.in.ReadByte()
	if err != nil {
		return truncated(err)
	}
	if first == 0 {
		return truncated(x.endStream())
	}
	return truncated(x.blockHeader(first))
}

// streamHeader reads the 12 bytes that begin a stream, after the zero padding that may follow an earlier one.
func (x *xzReader) streamHeader() error {
	var head [12]byte
	for {
		n, err := io.ReadFull(x.in, head[:4])
		if err != nil {
			if n == 0 && x.in.n > 0 {
				return io.EOF
			}
			return truncated(err)
		}
		if x.in.n == 4 || !bytes.Equal(head[:4], []byte{0, 0, 0, 0}) {
			break
		}
	}
	if _, err := io.ReadFull(x.in, head[4:]); err != nil {
		return truncated(err)
	}
	x.flags = [2]byte{head[6], head[7]}
	if !bytes.Equal(head[:6], xzMagic) || head[6] != 0 || head[7]&0xf0 != 0 || !crcFits(head[6:8], head[8:]) {
		return errXZ
	}
	x.inside, x.index = true, x.index[:0]
	return nil
}

// blockHeader reads the rest of a block's header and readies its decoder.
func (x *xzReader) blockHeader(first byte) error {
	head := make([]byte, (int(first)+1)*4)
	head[0] = first
	if _, err := io.ReadFull(x.in, head[1:]); err != nil {
		return err
	}
	body, sum := head[:len(head)-4], head[len(head)-4:]
	if !crcFits(body, sum) {
		return errXZ
	}
	flags := body[1]
	if flags&0x3f != 0 {
		return fmt.Errorf("%w: filters besides LZMA2 are not supported", errXZ)
	}
	x.sizes = xzSizes{header: int64(len(head)), packed: -1, unpacked: -1}
	rest := bytes.NewReader(body[2:])
	if err := x.sizes.read(rest, flags); err != nil {
		return err
	}
	dictionary, err := lzma2Dictionary(rest)
	if err != nil {
		return err
	}
	x.block, err = lzma.Reader2Config{DictCap: dictionary}.NewReader2(x.in)
	x.size, x.check = 0, xzCheck(x.flags[1])
	return err
}

// read takes the optional sizes from a block header.
func (s *xzSizes) read(r io.ByteReader, flags byte) error {
	for _, f := range []struct {
		bit byte
		to  *int64
	}{{0x40, &s.packed}, {0x80, &s.unpacked}} {
		if flags&f.bit == 0 {
			continue
		}
		n, err := xzNumber(r)
		if err != nil {
			return err
		}
		*f.to = n
	}
	return nil
}

// lzma2Dictionary reads the one filter and returns the dictionary it needs, in bytes.
func lzma2Dictionary(r io.ByteReader) (int, error) {
	var b [3]byte
	for i := range b {
		c, err := r.ReadByte()
		if err != nil {
			return 0, errXZ
		}
		b[i] = c
	}
	if b[0] != lzma2Filter || b[1] != 1 || b[2] > 40 {
		return 0, fmt.Errorf("%w: filters besides LZMA2 are not supported", errXZ)
	}
	return checkDictionary(lzma2Size(b[2]))
}

// lzma2Size decodes the property byte of LZMA2, at most 40.
func lzma2Size(prop byte) int64 {
	if prop >= 40 {
		return 1<<32 - 1
	}
	return (2 | int64(prop&1)) << (prop/2 + 11)
}

func checkDictionary(size int64) (int, error) {
	if size > maxDictionary {
		return 0, fmt.Errorf("%w: needs a dictionary of %d bytes, %d are allowed", ErrBomb, size, maxDictionary)
	}
	return max(int(size), lzma.MinDictCap), nil
}

// endBlock reads a block's padding and check, and compares both with what was unpacked.
func (x *xzReader) endBlock() error {
	packed := x.in.n - x.start - x.sizes.header
	var pad [3]byte
	if _, err := io.ReadFull(x.in, pad[:-packed&3]); err != nil {
		return err
	}
	stored := make([]byte, xzCheckSize(x.flags[1]))
	if _, err := io.ReadFull(x.in, stored); err != nil {
		return err
	}
	if x.check != nil && !bytes.Equal(x.check.Sum(nil), stored) || pad != [3]byte{} ||
		x.sizes.packed >= 0 && x.sizes.packed != packed || x.sizes.unpacked >= 0 && x.sizes.unpacked != x.size {
		return fmt.Errorf("%w: a block does not match its check", errXZ)
	}
	if len(x.index) >= 1<<20 {
		return fmt.Errorf("%w: too many blocks", errXZ)
	}
	x.index = append(x.index, xzRecord{x.sizes.header + packed + int64(len(stored)), x.size})
	return nil
}

// endStream reads the index, whose first byte was read, and the footer.
func (x *xzReader) endStream() error {
	tee := &crcByteReader{r: x.in, sum: crc32.NewIEEE()}
	tee.sum.Write([]byte{0})
	n, err := xzNumber(tee)
	if err != nil {
		return err
	}
	if n != int64(len(x.index)) {
		return fmt.Errorf("%w: the index does not fit the blocks", errXZ)
	}
	for _, rec := range x.index {
		unpadded, err := xzNumber(tee)
		if err != nil {
			return err
		}
		unpacked, err := xzNumber(tee)
		if err != nil {
			return err
		}
		if unpadded != rec.unpadded || unpacked != rec.unpacked {
			return fmt.Errorf("%w: the index does not fit the blocks", errXZ)
		}
	}
	for (x.in.n-x.start)&3 != 0 {
		if b, err := tee.ReadByte(); err != nil || b != 0 {
			return errXZ
		}
	}
	indexSize := x.in.n - x.start + 4
	var foot [16]byte // the index's CRC32, then the footer
	if _, err := io.ReadFull(x.in, foot[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(foot[:4]) != tee.sum.Sum32() || !crcFits(foot[8:14], foot[4:8]) ||
		(int64(binary.LittleEndian.Uint32(foot[8:12]))+1)*4 != indexSize ||
		!bytes.Equal(foot[12:14], x.flags[:]) || !bytes.Equal(foot[14:], xzFooterMagic) {
		return fmt.Errorf("%w: wrong index or footer", errXZ)
	}
	x.inside = false
	return nil
}

// xzNumber reads the format's variable-length integer, below 2^63.
func xzNumber(r io.ByteReader) (int64, error) {
	var v uint64
	for i := range 9 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if b == 0 && i > 0 {
				return 0, errXZ
			}
			return int64(v), nil
		}
	}
	return 0, errXZ
}

func xzCheck(kind byte) hash.Hash {
	switch kind {
	case 1:
		return reversed{crc32.NewIEEE()}
	case 4:
		return reversed{crc64.New(crc64.MakeTable(crc64.ECMA))}
	case 10:
		return sha256.New()
	}
	return nil
}

func xzCheckSize(kind byte) int {
	return []int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[kind&15]
}

// reversed is a checksum that is stored with its lowest byte first.
type reversed struct{ hash.Hash }

func (r reversed) Sum(b []byte) []byte {
	sum := r.Hash.Sum(nil)
	for i := range sum {
		b = append(b, sum[len(sum)-1-i])
	}
	return b
}

func crcFits(data, sum []byte) bool {
	return crc32.ChecksumIEEE(data) == binary.LittleEndian.Uint32(sum)
}

// truncated makes a sudden end an error of its own: io.EOF means a file that is whole.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// countingByteReader knows how far it is. It has ReadByte so that the LZMA2 decoder reads no further than it must.
type countingByteReader struct {
	r *bufio.Reader
	n int64
}

func (c *countingByteReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countingByteReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// crcByteReader sums the bytes that are read through it.
type crcByteReader struct {
	r   io.ByteReader
	sum hash.Hash32
}

func (c *crcByteReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.sum.Write([]byte{b})
	}
	return b, err
}
