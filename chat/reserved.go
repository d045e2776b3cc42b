package chat

import "fmt"

// reservedNames are usernames with which a user could pass for the site or its staff, or which mentions and programs
// interpret differently.
var reservedNames = []string{
	"admin", "administrator", "system", "tandem", "moderator", "support", "root",
	"everyone", "all", "here", "me", "null", "undefined",
}

// Reserved are usernames that nobody can take; their skeletons cover look-alikes.
type Reserved struct {
	names     map[string]bool
	skeletons map[string]bool
}

// NewReserved reserves the names above and the given ones, in whatever form they are written. It returns an *Invalid
// for a text that is not a valid username.
func NewReserved(more []string) (*Reserved, error) {
	r := &Reserved{make(map[string]bool), make(map[string]bool)}
	for _, list := range [][]string{reservedNames, more} {
		for _, s := range list {
			name, err := PrepareUsername(s)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", s, err)
			}
			r.names[name], r.skeletons[Skeleton(name)] = true, true
		}
	}
	return r, nil
}

// Has reports whether a prepared name is reserved.
func (r *Reserved) Has(name string) bool { return r.names[name] }

// Like reports whether a prepared name is reserved or looks like a reserved one.
func (r *Reserved) Like(name string) bool { return r.skeletons[Skeleton(name)] }
