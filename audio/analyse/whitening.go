package analyse

var whitening = func() (w [Dimensions]struct{ mean, deviation float64 }) {
	for i := range w {
		w[i].deviation = 1
	}
	return w
}()
