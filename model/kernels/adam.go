package kernels

import "math"

// Adam applies one step of Kingma and Ba's Adam (arXiv:1412.6980) with the convention of torch.optim.Adam: the bias
// corrections enter the step size and the denominator, and epsilon is added outside the root. step counts from 1. m and
// v are the running moments of w. Before the step w shrinks by rate·decay, which is AdamW (Loshchilov and Hutter,
// arXiv:1711.05101).
func Adam(w, grad, m, v []float32, rate, beta1, beta2, epsilon, decay float64, step int) {
	c1 := 1 - math.Pow(beta1, float64(step))
	c2 := math.Sqrt(1 - math.Pow(beta2, float64(step)))
	alpha := float32(rate / c1)
	b1, d1 := float32(beta1), float32(1-beta1) // 1-beta in float64 first: 1-0.999 has few digits in float32
	b2, d2 := float32(beta2), float32(1-beta2)
	eps, inv, keep := float32(epsilon), float32(1/c2), float32(1-rate*decay)
	grad, m, v = grad[:len(w)], m[:len(w)], v[:len(w)]
	n := whole(len(w))
	if n > 0 {
		args := [8]float32{b1, d1, b2, d2, alpha, eps, inv, keep}
		assembly[level].adam(uintptr(n), at(w, 0), at(grad, 0), at(m, 0), at(v, 0), ptr(&args))
	}
	for i := n; i < len(w); i++ {
		g := grad[i]
		mi := b1*m[i] + d1*g
		vi := b2*v[i] + d2*g*g
		m[i], v[i] = mi, vi
		w[i] = keep*w[i] - alpha*mi/(float32(math.Sqrt(float64(vi)))*inv+eps)
	}
}

// RMSProp applies one step of Hinton's RMSProp with the convention of torch.optim.RMSprop: v is the running mean of the
// gradient's square, and epsilon is added outside the root. The assembly is Adam's without first moment and
// corrections: the gradient takes the place of the moment.
func RMSProp(w, grad, v []float32, rate, rho, epsilon float64) {
	grad, v = grad[:len(w)], v[:len(w)]
	alpha, r, d, eps := float32(rate), float32(rho), float32(1-rho), float32(epsilon)
	n := whole(len(w))
	if n > 0 {
		args := [8]float32{0, 1, r, d, alpha, eps, 1, 1}
		assembly[level].adam(uintptr(n), at(w, 0), at(grad, 0), at(grad, 0), at(v, 0), ptr(&args))
	}
	for i := n; i < len(w); i++ {
		g := grad[i]
		v[i] = r*v[i] + d*g*g
		w[i] -= alpha * g / (float32(math.Sqrt(float64(v[i]))) + eps)
	}
}
