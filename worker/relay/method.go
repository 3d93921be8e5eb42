package relay

import "strings"

// place is a kind of destination of a frame from Hypha.
type place int

const (
	nowhere     place = iota
	application       // a member of the application's service
	object            // something that lives in one replica: a callback, a generator, a returned function
)

// destination is what a method path says about where a frame goes (replica link 2).
type destination struct {
	place  place
	member string // of the application: path below its service
	tag    string // of the replica that owns the object
}

// locate reads a method path from Hypha.
func locate(method, app string) destination {
	first, rest, _ := strings.Cut(method, ".")
	if first != "services" {
		return inReplica(first)
	}
	service, member, _ := strings.Cut(rest, ".")
	if service == app && member != "" {
		return destination{place: application, member: member}
	}
	if id, ok := strings.CutPrefix(service, "_rintf_"); ok {
		return inReplica(id)
	}
	return destination{}
}

// inReplica reads the tag that every id made in a replica starts with.
func inReplica(id string) destination {
	if tag, _, ok := strings.Cut(id, "-"); ok && tag != "" {
		return destination{place: object, tag: tag}
	}
	return destination{}
}

// intent is what a replica wants with a frame (replica link 4).
type intent int

const (
	unknown   intent = iota
	resolve          // settles a call with a value
	reject           // settles a call with an error
	heartbeat        // keeps a call alive
	callback         // calls something its caller handed over
	service          // calls a service of some client
)

// read tells what a replica's method path wants; session is the caller's session for the first three.
func read(method string) (want intent, session string) {
	first, rest, ok := strings.Cut(method, ".")
	if !ok || first == "" || rest == "" {
		return unknown, ""
	}
	if first == "services" {
		// An object that a caller handed over as `_rintf` is a callback by another name.
		if strings.HasPrefix(rest, "_rintf_") {
			return callback, ""
		}
		return service, ""
	}
	dot := strings.LastIndexByte(method, '.')
	switch session = method[:dot]; method[dot+1:] {
	case "resolve":
		return resolve, session
	case "reject":
		return reject, session
	case "heartbeat":
		return heartbeat, session
	}
	return callback, session
}
