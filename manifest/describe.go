package manifest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bioengine-hpc/bioengine-hpc/manifest/python"
)

const textClassMissing = "%s not found in %s"

// describer reads the deployments of one file. It runs in the child.
type describer struct {
	file     string // of the deployments, with ".py"
	artifact string // for the contract's text
	module   *python.Module
	problems Errors
}

// describeFile reads the wanted classes of one file.
func describeFile(request childRequest, text []byte) childReply {
	d := &describer{file: request.File, artifact: request.Artifact}
	module, err := python.Parse(request.File, text, python.Limits{Bytes: request.MaxBytes})
	if err != nil {
		return childReply{Problems: Errors{d.sourceError(err)}}
	}
	d.module = module
	for _, class := range configClasses {
		module.TreatAsRecord(class)
	}
	reply := childReply{Deployments: map[string]Deployment{}}
	for _, class := range request.Classes {
		reply.Deployments[class] = d.describe(class)
	}
	reply.Problems = d.problems
	return reply
}

func (d *describer) sourceError(err error) *Error {
	var source *python.Error
	if !errors.As(err, &source) {
		return &Error{Code: CodeReaderFailed, Message: fmt.Sprintf("%s cannot be read: %s.", d.file, err), Place: Place{File: d.file}}
	}
	return &Error{
		Code: source.Code, Message: fmt.Sprintf("%s cannot be read: %s.", d.file, clip(source.Message)),
		Hint: source.Hint, Place: d.place(source.Line),
	}
}

func (d *describer) place(line int) Place { return Place{File: d.file, Line: line} }

// describe reads one class. What cannot be known stays Runtime or unknown; only
// what is certain to fail becomes a problem.
func (d *describer) describe(class string) Deployment {
	definition, found := d.module.Lookup(class)
	if !found {
		d.classMissing(class)
		return Deployment{}
	}
	out := Deployment{Class: class, Place: d.place(definition.Line)}
	switch definition.Form {
	case python.FormClass:
		d.describeClass(&out, definition)
	case python.FormCall:
		d.describeCall(&out, definition)
	default:
		out.Options = unreadable(out.Place, definition.Why)
	}
	return out
}

func (d *describer) classMissing(class string) {
	where := d.artifact
	if where == "" {
		where = d.file
	}
	d.problems.add(CodeClassMissing, Place{File: d.file}, textClassMissing, class, where)
}

// describeClass reads a class statement with its decorators.
func (d *describer) describeClass(out *Deployment, definition python.Definition) {
	at := slices.IndexFunc(definition.Decorators, func(dec python.Decorator) bool { return isDeploymentDecorator(dec.Name) })
	if at < 0 {
		d.describeUndecorated(out, definition)
		return
	}
	decorator := definition.Decorators[at]
	if decorator.Call != nil {
		out.Options = readOptions(d.file, decorator.Call.Keywords, &d.problems)
	}
	d.describeMembers(out, definition, len(definition.Decorators) == 1)
}

// describeUndecorated refuses a class that nothing can have made a deployment;
// unknown decorators get the benefit of the doubt.
func (d *describer) describeUndecorated(out *Deployment, definition python.Definition) {
	if definition.Doubt != "" {
		out.Options = unreadable(out.Place, definition.Doubt)
		return
	}
	if len(definition.Decorators) > 0 {
		decorator := definition.Decorators[0]
		why := fmt.Sprintf("the class is made by the decorator `%s` (%s)", clip(decorator.Text), d.place(decorator.Line))
		out.Options = unreadable(out.Place, why)
		return
	}
	problem := d.problems.add(CodeNoDeployment, out.Place, "%s is not a Ray Serve deployment.", out.Class)
	problem.Hint = "Write @serve.deployment above the class."
}

// describeCall reads NAME = serve.deployment(...)(Class) and its short form;
// any other factory is known only at run time.
func (d *describer) describeCall(out *Deployment, definition python.Definition) {
	call := definition.Call
	arguments := call.Arguments
	made := isDeploymentDecorator(call.Name)
	if call.Inner != nil && isDeploymentDecorator(call.Inner.Name) {
		arguments, made = call.Inner.Arguments, true
	}
	if !made {
		out.Options = unreadable(out.Place, fmt.Sprintf("`%s` is made by `%s` (%s)", out.Class, clip(call.Text), out.Place))
		return
	}
	out.Options = readOptions(d.file, arguments.Keywords, &d.problems)
	if len(call.Operands) == 1 {
		if class, ok := d.module.LookupClass(call.Operands[0]); ok {
			d.describeMembers(out, class, len(class.Decorators) == 0)
		}
	}
}

// describeMembers reads constructor and methods. With further decorators on the
// class both may be replaced.
func (d *describer) describeMembers(out *Deployment, class python.Definition, plain bool) {
	methods := d.module.Methods(class, isSchemaDecorator, hidesNoSchema)
	out.Methods, out.MethodsKnown = methods.Names, methods.Known && plain
	signature := d.module.Signature(class)
	if out.InitKnown = signature.Known && plain; !out.InitKnown {
		return
	}
	for _, p := range signature.Params {
		out.InitParams = append(out.InitParams, Param{
			Name: p.Name, Kind: paramKinds[p.Kind], HasDefault: p.HasDefault, Annotation: clip(p.Annotation), Quoted: p.Quoted,
			Type: typeName(p.Type, p.Annotation, p.Quoted), Place: d.place(p.Line),
		})
	}
}

var paramKinds = map[python.ParamKind]ParamKind{
	python.Positional: ParamPositional, python.PositionalOnly: ParamPositionalOnly, python.KeywordOnly: ParamKeywordOnly,
	python.VarPositional: ParamVarPositional, python.VarKeyword: ParamVarKeyword,
}
