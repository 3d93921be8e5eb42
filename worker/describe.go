package worker

import (
	"errors"
	"fmt"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
)

const (
	applicationType = "bioengine-apps"
	maxDescription  = 1024 // characters that Hypha stores
	maxOffer        = 4 << 20
)

// ownMembers are the members of every application's service that the
// controller answers, besides get_load, which is the relay's (contract 4).
var ownMembers = map[string]func() any{
	"get_num_pcs":        func() any { return 0 }, // peer connections
	"get_rtc_service_id": func() any { return nil },
}

var ownDocs = []struct{ name, doc string }{
	{"get_load", "Share of the application's request slots in use, from 0 to 1."},
	{"get_num_pcs", "Number of open WebRTC peer connections."},
	{"get_rtc_service_id", "Id of the application's WebRTC service, or null when there is none."},
}

// describe makes the service of an application: what the replica said of its
// methods, with the manifest's name and description and the own members. The
// service is public: who may call what is decided per call.
func describe(id string, info hypha.Info, p publication) (hypha.OpaqueService, error) {
	if len(p.offer.Registration)+len(p.offer.Description) > maxOffer {
		return hypha.OpaqueService{}, fmt.Errorf("the application describes itself in more than %d MiB", maxOffer>>20)
	}
	record, err := unpackMap(p.offer.Registration)
	if err != nil {
		return hypha.OpaqueService{}, fmt.Errorf("read the replica's registration: %w", err)
	}
	object, err := unpackMap(p.offer.Description)
	if err != nil {
		return hypha.OpaqueService{}, fmt.Errorf("read the replica's description: %w", err)
	}
	schema, ok := record["service_schema"].(map[string]any)
	if !ok {
		return hypha.OpaqueService{}, errors.New("the replica's registration has no service_schema")
	}
	retarget(object, info)
	for _, m := range ownDocs {
		schema[m.name] = map[string]any{"type": "function", "function": ownSchema(m.name, m.doc)}
		object[m.name] = ownReference(id, info, m.name, m.doc)
	}
	common(record, p)
	common(object, p)
	record["id"], object["id"] = id, info.Address()+":"+id
	packed, err := pack(object)
	if err != nil {
		return hypha.OpaqueService{}, fmt.Errorf("pack the description: %w", err)
	}
	return hypha.OpaqueService{
		Record:   record,
		Describe: func(hypha.Header) ([]byte, error) { return packed, nil },
	}, nil
}

// common sets what record and object both have.
func common(fields map[string]any, p publication) {
	fields["name"], fields["type"] = p.name, applicationType
	fields["description"] = shorten(p.description, maxDescription)
	fields["config"] = map[string]any{"visibility": "public", "require_context": true}
	delete(fields, "app_id")
}

// retarget makes all method references lead to the connection as it is: what
// a restarted controller kept may name another URL of the server.
func retarget(v any, info hypha.Info) {
	switch v := v.(type) {
	case map[string]any:
		if v["_rtype"] == "method" {
			v["_rtarget"], v["_rserver"] = info.Address(), info.PublicBaseURL
			return
		}
		for _, member := range v {
			retarget(member, info)
		}
	case []any:
		for _, member := range v {
			retarget(member, info)
		}
	}
}

func ownSchema(name, doc string) map[string]any {
	return map[string]any{
		"name": name, "description": doc,
		"parameters": map[string]any{"type": "object", "properties": map[string]any{}, "required": []any{}},
	}
}

func ownReference(id string, info hypha.Info, name, doc string) map[string]any {
	return map[string]any{
		"_rtype": "method", "_rtarget": info.Address(), "_rserver": info.PublicBaseURL,
		"_rmethod": "services." + id + "." + name, "_rpromise": "*",
		"_rname": name, "_rdoc": doc, "_rschema": ownSchema(name, doc),
	}
}

// shorten cuts a text to so many characters.
func shorten(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}
