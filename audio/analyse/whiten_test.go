package analyse

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"math"
	"os"
	"path/filepath"
	"testing"
)

var whiten = flag.String("whiten", "", "write whitening.go anew from the music that this pattern names")

// TestWhiten makes the table of means and deviations, so that anybody can make it from their music:
//
//	go test ./audio/analyse -run TestWhiten -timeout 0 -whiten '/usr/share/games/wesnoth/*/data/core/music/*.ogg'
func TestWhiten(t *testing.T) {
	if *whiten == "" {
		t.Skip("-whiten names no music")
	}
	names, err := filepath.Glob(*whiten)
	if err != nil || len(names) == 0 {
		t.Fatalf("%q names nothing: %v", *whiten, err)
	}
	var all [Dimensions]stats
	for _, name := range names {
		a := sound(t, name)
		f, err := a.Full()
		if err != nil {
			t.Fatal(err)
		}
		if f.Loudness <= Silence {
			continue
		}
		m := a.measured()
		for i, v := range m.features() {
			all[i].add(v)
		}
	}
	var b bytes.Buffer
	fmt.Fprint(&b, "package analyse\n\n// whitening is the mean and the deviation of each feature. Written by TestWhiten.\n"+
		"var whitening = [Dimensions]struct{ mean, deviation float64 }{\n")
	for i := range all {
		fmt.Fprintf(&b, "{%.4g, %.4g},\n", all[i].mean(), math.Max(all[i].deviation(), 1e-3))
	}
	fmt.Fprint(&b, "}\n")
	code, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("whitening.go", code, 0o644); err != nil {
		t.Fatal(err)
	}
}
