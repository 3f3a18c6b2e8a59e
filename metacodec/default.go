package metacodec

import (
	_ "embed"
	"sync"
	"unsafe"
	"weak"
)

// The model that comes with the program is data of its own, under a licence of its own: models/LICENCE.md.
//
//go:embed models/default.tmm
var defaultFile string

// Default returns the model that comes with the program. Unpacking it takes about a fifth of a second, and it 25 MB for as
// long as somebody holds it: a server that never needs it has neither, and one that needed it once has it no more after
// the next garbage collection. It fails only where the program is damaged.
func Default() (*Model, error) { return defaultModel.get() }

var defaultModel = lent{file: bytesOf(defaultFile)}

//go:embed models/small.tmm
var smallFile string

// Small returns the model for small machines: it is trained as the default one is, takes a quarter of its memory and of
// its room in the program, and makes frames some six in a hundred longer. It is held as Default's is.
func Small() (*Model, error) { return smallModel.get() }

var smallModel = lent{file: bytesOf(smallFile)}

// bytesOf is the file without a copy of it. It is embedded as a string, since those are in a part of the program that is
// only read, and so in pages that an idle process can give back; nobody writes to it.
func bytesOf(file string) []byte { return unsafe.Slice(unsafe.StringData(file), len(file)) }

// lent is a model that is unpacked for whoever needs it and shared by all who hold it.
type lent struct {
	file  []byte
	mu    sync.Mutex
	model weak.Pointer[Model]
}

func (l *lent) get() (*Model, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.model.Value(); m != nil {
		return m, nil
	}
	m, err := parse(l.file)
	if err != nil {
		return nil, err
	}
	l.model = weak.Make(m)
	return m, nil
}
