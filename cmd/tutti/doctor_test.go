package main

import (
	"strings"
	"testing"
)

func TestSumMetrics(t *testing.T) {
	sums, err := sumMetrics(strings.NewReader(`# HELP a_total Something.
# TYPE a_total counter
a_total{kind="read of {things}",operation="get"} 1.5
a_total{kind="write",operation="put"} 2 1700000000000

b 3e-2
broken{
c{x="y"} many
`))
	if err != nil || len(sums) != 6 || sums["a_total"] != 3.5 || sums["b"] != 0.03 ||
		sums[`a_total{kind="read of {things}"}`] != 1.5 || sums[`a_total{operation="put"}`] != 2 {
		t.Errorf("got %v, %v", sums, err)
	}
}

func FuzzSumMetrics(f *testing.F) {
	f.Add("a{b=\"c\"} 1\nd 2\n")
	f.Add("}{ 1")
	f.Fuzz(func(_ *testing.T, s string) {
		_, _ = sumMetrics(strings.NewReader(s)) // must not panic
	})
}
