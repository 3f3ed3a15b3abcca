package filter

import (
	"fmt"
	"strings"

	"github.com/antlr/antlr4/runtime/Go/antlr"
	cesql "github.com/cloudevents/sdk-go/sql/v2"
	"github.com/cloudevents/sdk-go/sql/v2/gen"
	"github.com/cloudevents/sdk-go/sql/v2/parser"
	"github.com/cloudevents/sdk-go/sql/v2/runtime"

	"github.com/gxbus/gxbus/pkg/bus"
)

// parse reads a CloudEvents SQL expression. The library's own parser panics on some
// bad ones, passes over characters that it does not know, and says of none where it
// is bad. So its grammar is asked first, with a listener that does.
func parse(text string) (expression cesql.Expression, defects []bus.Defect) {
	defer func() {
		if r := recover(); r != nil {
			expression, defects = nil, []bus.Defect{misread(0, fmt.Sprint(r))}
		}
	}()
	if defects := syntax(text); len(defects) > 0 {
		return nil, defects
	}
	expression, err := parser.Parse(text)
	if err != nil {
		return nil, []bus.Defect{misread(0, strings.TrimPrefix(err.Error(), "parse error: "))}
	}
	return expression, nil
}

// misread tells what is wrong with an expression at a byte of it; 0 for none in
// particular.
func misread(at int, why string) bus.Defect {
	problem := bus.Text{ZH: "表达式有误：" + why, EN: "the expression is wrong: " + why}
	if at > 0 {
		problem = bus.Text{ZH: fmt.Sprintf("表达式第 %d 个字符处有误：%s", at, why), EN: fmt.Sprintf("the expression is wrong at character %d: %s", at, why)}
	}
	return bus.Defect{Problem: problem, Allowed: "a CloudEvents SQL 1.0 expression"}
}

// syntax holds an expression to the grammar and its functions to those that there
// are.
func syntax(text string) []bus.Defect {
	var heard listener
	lexer := gen.NewCESQLParserLexer(parser.NewCaseChangingStream(antlr.NewInputStream(text), true))
	lexer.RemoveErrorListeners()
	lexer.AddErrorListener(&heard)
	grammar := gen.NewCESQLParserParser(antlr.NewCommonTokenStream(lexer, antlr.TokenDefaultChannel))
	grammar.RemoveErrorListeners()
	grammar.AddErrorListener(&heard)
	tree := grammar.Cesql()
	if len(heard.defects) == 0 {
		heard.functions(tree)
	}
	return heard.defects
}

// listener collects what the grammar has to say.
type listener struct {
	antlr.DefaultErrorListener
	defects []bus.Defect
}

const maxMisread = 4 // defects of one expression that are told

func (l *listener) SyntaxError(_ antlr.Recognizer, _ any, line, column int, why string, _ antlr.RecognitionException) {
	if len(l.defects) >= maxMisread {
		return
	}
	d := misread(column+1, why)
	if line > 1 {
		d = misread(0, fmt.Sprintf("line %d, character %d: %s", line, column+1, why))
	}
	l.defects = append(l.defects, d)
}

// functions finds calls of functions that there are not.
func (l *listener) functions(tree antlr.Tree) {
	if call, ok := tree.(*gen.FunctionInvocationExpressionContext); ok {
		name := call.FunctionIdentifier().GetText()
		arguments := 0
		if list, ok := call.FunctionParameterList().(*gen.FunctionParameterListContext); ok {
			arguments = len(list.AllExpression())
		}
		if runtime.ResolveFunction(name, arguments) == nil {
			at := call.FunctionIdentifier().GetStart().GetColumn() + 1
			l.defects = append(l.defects, misread(at, fmt.Sprintf("there is no function %s of %d arguments", name, arguments)))
		}
	}
	for _, child := range tree.GetChildren() {
		l.functions(child)
	}
}
