package metacodec

import (
	_ "embed"
	"sync"
)

// The model that comes with the program is data of its own, under a licence of its own: models/LICENCE.md.
//
//go:embed models/default.tmm
var defaultFile []byte

// Default returns the model that comes with the program. It is unpacked at the first call, which takes about a fifth of
// a second, and 25 MB from then on: a server that never needs it has neither. It fails only where the program is damaged.
var Default = sync.OnceValues(func() (*Model, error) { return parse(defaultFile) })

//go:embed models/small.tmm
var smallFile []byte

// Small returns the model for small machines: it is trained as the default one is, takes a quarter of its memory and of
// its room in the program, and makes frames some six in a hundred longer.
var Small = sync.OnceValues(func() (*Model, error) { return parse(smallFile) })
