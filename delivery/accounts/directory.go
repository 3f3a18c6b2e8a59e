package accounts

import (
	"context"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// Directory says who somebody is. It lets nobody in and opens no secrets, so it needs no key: it is for processes that
// only have to know what people may see.
type Directory struct{ accounts Accounts }

// NewDirectory returns the directory of the accounts in a store. It needs no closing.
func NewDirectory(s store.Store, c clock.Clock) *Directory {
	d := &Directory{Accounts{store: s, clock: c}}
	d.accounts.users.clock = c
	return d
}

// UserByID is as tutti.Accounts has it. Like there, what another process changes is seen within a second or two.
func (d *Directory) UserByID(ctx context.Context, id tutti.ID) (tutti.User, error) {
	return d.accounts.UserByID(ctx, id)
}
