package kernels

// LSTMForward runs the element-wise half of one LSTM step for one name. z, [4·units], holds the pre-activations of the
// gates in Keras' order i, f, c, o and receives their activations. c receives the new cell state, tanhC its tanh and h
// the output. prev is the cell state before the step. All slices except z have length units.
func LSTMForward(z, prev, c, tanhC, h []float32) {
	u := len(h)
	n := whole(u)
	if n > 0 {
		z, prev, c, tanhC = z[:4*u], prev[:u], c[:u], tanhC[:u] // the assembly writes unchecked
		assembly[level].lstmForward(uintptr(n), at(z, 0), uintptr(4*u), at(prev, 0), at(c, 0), at(tanhC, 0), at(h, 0))
	}
	zi, zf, zg, zo := z[:u], z[u:2*u], z[2*u:3*u], z[3*u:4*u]
	for q := n; q < u; q++ {
		i, f, g, o := Logistic(zi[q]), Logistic(zf[q]), Tanh(zg[q]), Logistic(zo[q])
		zi[q], zf[q], zg[q], zo[q] = i, f, g, o
		c[q] = f*prev[q] + i*g
		tanhC[q] = Tanh(c[q])
		h[q] = o * tanhC[q]
	}
}

// LSTMInfer is LSTMForward without what a gradient needs. x and z, [4·units] each, are the halves of the
// pre-activations that come from the input and from the state. c, [units], holds the cell state before the step and
// receives the new one.
func LSTMInfer(x, z, c, h []float32) {
	u := len(h)
	n := whole(u)
	x, z, c = x[:4*u], z[:4*u], c[:u] // the assembly works unchecked
	if n > 0 {
		assembly[level].lstmInfer(uintptr(n), at(x, 0), at(z, 0), uintptr(4*u), at(c, 0), at(h, 0))
	}
	for q := n; q < u; q++ {
		i, f := Logistic(x[q]+z[q]), Logistic(x[u+q]+z[u+q])
		g, o := Tanh(x[2*u+q]+z[2*u+q]), Logistic(x[3*u+q]+z[3*u+q])
		c[q] = f*c[q] + i*g
		h[q] = o * Tanh(c[q])
	}
}

// LSTMBackward is LSTMForward's gradient for one name. z holds the gates' activations and receives the gradient of
// their pre-activations. dh is the gradient of the step's output. dc holds the gradient of its cell state and receives
// that of the state before.
func LSTMBackward(z, prev, tanhC, dh, dc []float32) {
	u := len(dh)
	n := whole(u)
	if n > 0 {
		z, prev, tanhC, dc = z[:4*u], prev[:u], tanhC[:u], dc[:u] // the assembly writes unchecked
		assembly[level].lstmBackward(uintptr(n), at(z, 0), uintptr(4*u), at(prev, 0), at(tanhC, 0), at(dh, 0), at(dc, 0))
	}
	zi, zf, zg, zo := z[:u], z[u:2*u], z[2*u:3*u], z[3*u:4*u]
	for q := n; q < u; q++ {
		i, f, g, o, t := zi[q], zf[q], zg[q], zo[q], tanhC[q]
		d := dc[q] + dh[q]*o*(1-t*t)
		zo[q] = dh[q] * t * o * (1 - o)
		zi[q] = d * g * i * (1 - i)
		zf[q] = d * prev[q] * f * (1 - f)
		zg[q] = d * i * (1 - g*g)
		dc[q] = d * f
	}
}

// ClipLSTMForward is LSTMForward for gates that are clipped to 0..1 rather than logistic. c may be prev, and h tanhC.
func ClipLSTMForward(z, prev, c, tanhC, h []float32) {
	u := len(h)
	zi, zf, zg, zo := z[:u], z[u:2*u], z[2*u:3*u], z[3*u:4*u]
	for q := range u {
		i, f, g, o := clip(zi[q]), clip(zf[q]), Tanh(zg[q]), clip(zo[q])
		zi[q], zf[q], zg[q], zo[q] = i, f, g, o
		c[q] = f*prev[q] + i*g
		tanhC[q] = Tanh(c[q])
		h[q] = o * tanhC[q]
	}
}

// ClipLSTMBackward is LSTMBackward for ClipLSTMForward. A gate at 0 or 1 has no gradient.
func ClipLSTMBackward(z, prev, tanhC, dh, dc []float32) {
	u := len(dh)
	zi, zf, zg, zo := z[:u], z[u:2*u], z[2*u:3*u], z[3*u:4*u]
	for q := range u {
		i, f, g, o, t := zi[q], zf[q], zg[q], zo[q], tanhC[q]
		d := dc[q] + dh[q]*o*(1-t*t)
		zo[q] = dh[q] * t * clipSlope(o)
		zi[q] = d * g * clipSlope(i)
		zf[q] = d * prev[q] * clipSlope(f)
		zg[q] = d * i * (1 - g*g)
		dc[q] = d * f
	}
}

func clip(x float32) float32 { return min(max(x, 0), 1) }

// clipSlope is clip's derivative where it gave y.
func clipSlope(y float32) float32 {
	if y > 0 && y < 1 {
		return 1
	}
	return 0
}
