package cuda

import "github.com/degas-dns/degas/trainer/cuda/device"

// fork hands a value to several readers; their gradients add up.
type fork struct {
	*network
	from    *value
	readers []*value
}

// reader is one more view of f's value, with a gradient of its own.
func (f *fork) reader() *value {
	v := &value{shape: f.from.shape, data: f.from.data, grad: f.alloc(f.batch * f.from.size())}
	f.readers = append(f.readers, v)
	return v
}

func (f *fork) forward(bool) {}

func (f *fork) backward() {
	size := f.from.size()
	for i, r := range f.readers {
		f.each("copy_columns", f.batch*size, f.from.grad, size, r.grad, size, f.batch, size, i > 0)
	}
}

// concat puts values side by side, but for those that towers have put there already, as their gradients are.
type concat struct {
	*network
	in []*value
	y  *value
}

func (c *concat) forward(bool) {
	at, width := c.y.data, c.y.size()
	for _, v := range c.in {
		if v.data != at {
			c.each("copy_columns", c.batch*v.size(), at, width, v.data, v.size(), c.batch, v.size(), false)
		}
		at += device.Address(4 * v.size())
	}
}

func (c *concat) backward() {
	at, width := c.y.grad, c.y.size()
	for _, v := range c.in {
		if v.grad != at {
			c.each("copy_columns", c.batch*v.size(), v.grad, v.size(), at, width, c.batch, v.size(), false)
		}
		at += device.Address(4 * v.size())
	}
}

// dropout zeroes values in training. Its mask is a function of the key and the step.
type dropout struct {
	*network
	x, y *value
	key  uint64
	step *uint64
	rate float64
}

func (l *dropout) run(y, x device.Address, rate float64) {
	size := l.batch * l.x.size()
	l.each("dropout", size, y, x, size, l.key+*l.step*0x9e3779b97f4a7c15, int(rate*(1<<32)), float32(1/(1-rate)))
}

func (l *dropout) forward(training bool) {
	rate := l.rate
	if !training {
		rate = 0
	}
	l.run(l.y.data, l.x.data, rate)
}

func (l *dropout) backward() { l.run(l.x.grad, l.y.grad, l.rate) }

// threshold is x where it is above theta, else 0.
type threshold struct {
	*network
	x, y  *value
	theta float32
}

func (l *threshold) forward(bool) {
	size := l.batch * l.x.size()
	l.each("threshold", size, l.y.data, l.x.data, size, l.theta)
}

func (l *threshold) backward() {
	size := l.batch * l.x.size()
	l.each("threshold_grad", size, l.x.grad, l.y.grad, l.x.data, size, l.theta)
}

// maxPool takes maxima over windows of pool positions, the first beginning before the input.
type maxPool struct {
	*network
	x, y                  *value
	windows, pool, before int
	arg                   device.Address // [batch, windows, channels] int32
}

func (l *maxPool) forward(bool) {
	time, channels := l.x.shape[0], l.x.shape[1]
	l.each("max_pool", l.batch*l.windows*channels, l.y.data, l.arg, l.x.data, l.batch, time, l.windows, l.pool, l.before,
		channels)
}

func (l *maxPool) backward() {
	time, channels := l.x.shape[0], l.x.shape[1]
	l.each("max_pool_grad", l.batch*time*channels, l.x.grad, l.y.grad, l.arg, l.batch, time, l.windows, l.pool, l.before,
		channels)
}
