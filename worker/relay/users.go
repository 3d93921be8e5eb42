package relay

import (
	"slices"
	"sync"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

// usersKept is how many decoded user records are kept; when they are full all are forgotten.
const usersKept = 256

// users remembers user records by their bytes: the server sends the same ones with every frame of a connection, and
// decoding them costs more than all else that a call takes here.
type users struct {
	mu    sync.Mutex // guards the following field
	known map[string]hypha.User
}

// of decodes the user that the server wrote into a header. The result is shared: nobody changes it.
func (s *users) of(h hypha.Header) (hypha.User, error) {
	if len(h.User) == 0 {
		return hypha.User{}, errNoUser
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if user, ok := s.known[string(h.User)]; ok {
		return user, nil
	}
	user, err := hypha.ParseUser(slices.Clone(h.User))
	if err != nil || user.ID == "" {
		return hypha.User{}, errBadUser
	}
	if s.known == nil || len(s.known) >= usersKept {
		s.known = make(map[string]hypha.User)
	}
	s.known[string(h.User)] = user
	return user, nil
}
