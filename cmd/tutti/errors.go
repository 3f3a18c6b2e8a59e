package main

import (
	"errors"
	"strings"

	"tutti"
)

// explain says what a person at the terminal needs: the message meant for users behind what was said on the way up, such
// as which folder it is about, and the causes that only an operator may see.
func explain(err error) string {
	whole := err.Error()
	var e *tutti.Error
	if errors.As(err, &e) && e.Message != "" && e.Err == nil {
		if about, ok := strings.CutSuffix(whole, e.Error()); ok {
			return about + e.Message
		}
	}
	return whole
}
