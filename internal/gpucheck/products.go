package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/degas-dns/degas/trainer/cuda/device"
)

// product is how long one of the dense layer's matrix products takes: c [M, N] of a [M, K] and b [K, N], multiplied in
// bf16: a is fp32, b bf16 where it is the weights.
type product struct {
	Use          string  `json:"use"`
	M            int     `json:"m"`
	N            int     `json:"n"`
	K            int     `json:"k"`
	Microseconds float64 `json:"microseconds"`

	Summed bool `json:"summed"` // the time has all of it, with the shares of k added up

	kernel string
	splits int // blocks that share k
}

// products measures those of cnn's dense layer at batch 4096, as package cuda launches them: its tiles, its shares.
func (c *check) products(ctx context.Context, show func(any)) error {
	dev, err := device.Open(0)
	if err != nil {
		return err
	}
	all, batch := []product{}, 4096
	if c.quick {
		batch = 64
	}
	for _, p := range []product{
		{Use: "forward", M: batch, N: 256, K: 1024, kernel: "gemm_rounded_nn", splits: 1},
		{Use: "gradient of the input", M: batch, N: 1024, K: 256, kernel: "gemm_rounded_nt", splits: 1},
		{Use: "gradient of the weights", M: 1024, N: 256, K: batch, kernel: "gemm_tensor_tn", splits: max(batch/256, 1)},
	} {
		if err := c.product(ctx, dev, &p); err != nil {
			return errors.Join(err, dev.Close())
		}
		all = append(all, p)
		show(all)
	}
	return dev.Close()
}

func (c *check) product(ctx context.Context, dev device.Device, p *product) error {
	var at [3]device.Address
	for i, floats := range []int{p.M * p.N * p.splits, p.M * p.K, p.K * p.N} {
		var err error
		if at[i], err = dev.Alloc(4 * floats); err != nil {
			return err
		}
		defer dev.Free(at[i])
		values, rng := make([]byte, 0, 4*floats), rand.New(rand.NewPCG(1, uint64(i))) // zeros would be quicker
		for range floats {
			bits := math.Float32bits(rng.Float32() - 0.5)
			if rounded := i == 2 && strings.Contains(p.kernel, "rounded"); rounded {
				values = binary.LittleEndian.AppendUint16(values, uint16(bits>>16))
			} else {
				values = binary.LittleEndian.AppendUint32(values, bits)
			}
		}
		if err := dev.Upload(at[i], values); err != nil {
			return err
		}
	}
	aStride, bStride, split := p.K, p.N, uint64(0)
	switch p.kernel[len(p.kernel)-2:] {
	case "nt":
		bStride = p.K
	case "tn":
		aStride, split = p.M, 1
	}
	grid := device.Dim{X: (p.M + 63) / 64, Y: (p.N + 127) / 128, Z: p.splits}
	run := func() error {
		err := dev.Launch(p.kernel, grid, device.Dim{X: 256}, 0, uint64(at[0]), uint64(at[1]), uint64(at[2]), 0, uint64(p.M),
			uint64(p.N), uint64(p.K), uint64(aStride), uint64(bStride), uint64(p.N), uint64(p.M*p.N), split, 0, 0)
		if p.splits > 1 && err == nil {
			err = dev.Launch("add_parts", device.Dim{X: (p.M*p.N + 255) / 256}, device.Dim{X: 256}, 0, uint64(at[0]),
				uint64(at[0]), uint64(p.M*p.N), uint64(p.splits), 0)
		}
		return err
	}
	p.Summed = true
	repeat := 300
	if c.quick {
		repeat = 1
	}
	for _, n := range []int{1, repeat} { // the first warms up
		began := time.Now()
		for range n {
			if err := errors.Join(ctx.Err(), run()); err != nil {
				return err
			}
		}
		if err := dev.Sync(); err != nil {
			return err
		}
		p.Microseconds = time.Since(began).Seconds() * 1e6 / float64(n)
	}
	return nil
}
