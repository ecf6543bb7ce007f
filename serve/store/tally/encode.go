package tally

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/axiomhq/hyperloglog"

	"github.com/degas-dns/degas/serve/store"
)

// maxKeys bounds the keys of a list that is read.
const maxKeys = 1 << 16

const listVersion = 1

// AppendBinary appends the list to data: a version, Absent, the number of keys, and for each key its length, its
// bytes, N and Error. All numbers are unsigned varints.
func (l *List) AppendBinary(data []byte) ([]byte, error) {
	data = append(data, listVersion)
	data = binary.AppendUvarint(data, uint64(l.Absent))
	data = binary.AppendUvarint(data, uint64(len(l.Keys)))
	for _, k := range l.Keys {
		data = binary.AppendUvarint(data, uint64(len(k.Key)))
		data = append(data, k.Key...)
		data = binary.AppendUvarint(data, uint64(k.N))
		data = binary.AppendUvarint(data, uint64(k.Error))
	}
	return data, nil
}

// UnmarshalBinary reads a list that AppendBinary wrote. After an error l is as it was.
func (l *List) UnmarshalBinary(data []byte) error {
	if len(data) == 0 || data[0] != listVersion {
		return errors.New("no top list of version 1")
	}
	r := reader{data: data[1:]}
	out := List{Absent: r.number()}
	n := r.number()
	if n > min(maxKeys, int64(len(r.data))) {
		return fmt.Errorf("a top list of %d keys in %d bytes", n, len(data))
	}
	out.Keys = make([]store.Top, 0, n)
	for range n {
		out.Keys = append(out.Keys, store.Top{Key: r.text(), N: r.number(), Error: r.number()})
	}
	if r.failed || len(r.data) > 0 {
		return errors.New("a top list does not end where it should")
	}
	*l = out
	return nil
}

// reader reads numbers and texts. After the end it gives zeros.
type reader struct {
	data   []byte
	failed bool
}

func (r *reader) number() int64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 || v > math.MaxInt64 {
		r.data, r.failed = nil, true
		return 0
	}
	r.data = r.data[n:]
	return int64(v)
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) bytes() []byte {
	n := r.number()
	if n > int64(len(r.data)) {
		r.data, r.failed = nil, true
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

// AppendBinary appends the part without its slot to data: each list and each sketch with its length before it.
func (p *Part) AppendBinary(data []byte) ([]byte, error) {
	for kind := range p.Top {
		for which := range p.Top[kind] {
			one, err := p.Top[kind][which].AppendBinary(nil)
			if err != nil {
				return nil, err
			}
			data = append(binary.AppendUvarint(data, uint64(len(one))), one...)
		}
		var one []byte
		if s := p.Sketch[kind]; s != nil {
			var err error
			if one, err = s.MarshalBinary(); err != nil {
				return nil, err
			}
		}
		data = append(binary.AppendUvarint(data, uint64(len(one))), one...)
	}
	return data, nil
}

// UnmarshalBinary reads a part that AppendBinary wrote. After an error p is as it was. p.Slot stays.
func (p *Part) UnmarshalBinary(data []byte) error {
	r := reader{data: data}
	out := Part{Slot: p.Slot}
	for kind := range out.Top {
		for which := range out.Top[kind] {
			if err := out.Top[kind][which].UnmarshalBinary(r.bytes()); err != nil {
				return err
			}
		}
		if one := r.bytes(); len(one) > 0 {
			out.Sketch[kind] = &hyperloglog.Sketch{}
			if err := out.Sketch[kind].UnmarshalBinary(one); err != nil {
				return err
			}
		}
	}
	if r.failed || len(r.data) > 0 {
		return errors.New("a part of a slot does not end where it should")
	}
	*p = out
	return nil
}
