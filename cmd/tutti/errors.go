package main

import (
	"errors"

	"tutti"
)

// explain says what a person at the terminal needs: the message meant for users, and the causes that only an operator
// may see.
func explain(err error) string {
	var e *tutti.Error
	if errors.As(err, &e) && e.Message != "" && e.Err == nil {
		return e.Message
	}
	return err.Error()
}
