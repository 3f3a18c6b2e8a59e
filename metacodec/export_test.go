package metacodec

// Seal makes a frame with the right head and checksum of any body.
func Seal(body []byte, m *Model) []byte {
	b := append([]byte{head(formModel, m.id.Tag())}, body...)
	return appendSum(b, 0, m.id)
}

// LendSmall returns what Small is, for whoever calls it alone.
func LendSmall() func() (*Model, error) { return (&lent{file: bytesOf(smallFile)}).get }
