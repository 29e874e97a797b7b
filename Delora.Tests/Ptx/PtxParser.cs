namespace Delora.Tests.Ptx;

/// <summary>Reads a PTX text: directives, variables, functions and statements. What it does not know is an error with its line.</summary>
internal sealed partial class PtxParser
{
    private readonly List<PtxToken> _tokens;
    private readonly PtxModuleText _module;
    private int _at;

    private PtxParser(string name, string text)
    {
        _tokens = PtxLexer.Cut(name, text);
        _module = new PtxModuleText { Name = name };
    }

    /// <exception cref="PtxSyntaxFault">The text is not PTX that the machine knows.</exception>
    internal static PtxModuleText Parse(string name, string text)
    {
        var parser = new PtxParser(name, text);
        while (parser.Current.Kind != PtxTokenKind.End) parser.TopLevel();
        return parser._module;
    }

    private PtxToken Current => _tokens[_at];

    private PtxToken Take() => _tokens[_at++];

    private bool TryTake(string text)
    {
        if (!Current.Is(text)) return false;
        _at++;
        return true;
    }

    private void Expect(string text)
    {
        if (!TryTake(text)) throw Error($"'{text}' is expected, not '{Current.Text}'");
    }

    private string Word() => Current.Kind == PtxTokenKind.Word ? Take().Text : throw Error($"a name is expected, not '{Current.Text}'");

    private long Integer()
    {
        bool negative = TryTake("-");
        if (Current.Kind != PtxTokenKind.Integer) throw Error($"an integer is expected, not '{Current.Text}'");
        long value = (long)Take().Bits;
        return negative ? -value : value;
    }

    private PtxSyntaxFault Error(string message) => Error(Current.Line, message);

    private PtxSyntaxFault Error(int line, string message) => new($"{_module.Name}, line {line}: {message}");

    private void TopLevel()
    {
        if (TryTake(".version")) _module.Version = BitConverter.UInt64BitsToDouble(Take().Bits);
        else if (TryTake(".target"))
        {
            _module.Target = Word();
            while (TryTake(",")) Word();
        }
        else if (TryTake(".address_size"))
        {
            if (Integer() != 64) throw Error("only addresses of 64 bits are known");
        }
        else if (TryTake(".section"))
        {
            if (!Word().StartsWith(".debug_", StringComparison.Ordinal)) throw Error("only sections for a debugger are known");
            Expect("{");
            while (!TryTake("}")) Take();
        }
        else if (TryTake(".pragma")) Pragma();
        else
        {
            bool isExternal = false;
            while (Current.Text is ".visible" or ".extern" or ".weak" or ".common") isExternal |= Take().Text == ".extern";
            if (TryTake(".entry")) Function(isEntry: true);
            else if (TryTake(".func")) Function(isEntry: false);
            else if (Space(Current.Text) is { } space and not PtxSpace.Register)
            {
                foreach (PtxVariable variable in Variables(space, _module.Scope))
                {
                    if (isExternal && space != PtxSpace.Shared) throw Error(variable.Line, $"'{variable.Name}' is in another text, and there is only this one");
                    _module.Variables.Add(variable);
                }
            }
            else throw Error($"'{Current.Text}' is not known here");
        }
    }

    private void Pragma()
    {
        if (Current.Kind != PtxTokenKind.Text) throw Error("a string is expected");
        Take();
        Expect(";");
    }

    private static PtxSpace? Space(string directive) => directive switch
    {
        ".reg" => PtxSpace.Register,
        ".global" => PtxSpace.Global,
        ".const" => PtxSpace.Constant,
        ".shared" => PtxSpace.Shared,
        ".local" => PtxSpace.Local,
        ".param" => PtxSpace.Parameter,
        _ => null,
    };

    private void Function(bool isEntry)
    {
        List<PtxVariable> results = isEntry || !Current.Is("(") ? [] : Formals(isEntry);
        string name = Word();
        List<PtxVariable> parameters = Current.Is("(") ? Formals(isEntry) : [];
        var function = new PtxFunction { Name = name, IsEntry = isEntry };
        function.Results.AddRange(results);
        function.Parameters.AddRange(parameters);
        while (!Current.Is("{") && !Current.Is(";")) Performance(function);
        if (_module.Functions.TryGetValue(name, out PtxFunction? before) && before.HasBody) throw Error($"'{name}' is declared twice");
        _module.Functions[name] = function;
        if (TryTake(";")) return;
        function.HasBody = true;
        var scope = new PtxScope(_module.Scope);
        foreach (PtxVariable variable in results.Concat(parameters))
            if (!scope.Add(variable)) throw Error(variable.Line, $"'{variable.Name}' is declared twice");
        Expect("{");
        Block(function, scope);
    }

    private List<PtxVariable> Formals(bool isEntry)
    {
        Expect("(");
        var formals = new List<PtxVariable>();
        while (!TryTake(")"))
        {
            if (formals.Count > 0) Expect(",");
            PtxSpace space = Space(Current.Text) is { } known and (PtxSpace.Register or PtxSpace.Parameter)
                ? known : throw Error($"a parameter is expected, not '{Current.Text}'");
            Take();
            formals.Add(Variable(space, Prefix(), isEntry));
        }
        return formals;
    }

    private void Performance(PtxFunction function)
    {
        string directive = Word();
        switch (directive)
        {
            case ".maxntid": function.MaxThreads = Product(); break;
            case ".reqntid": function.RequiredThreads = Product(); break;
            case ".maxnreg" or ".minnctapersm" or ".maxnctapersm" or ".maxclusterrank": Integer(); break;
            case ".reqnctapercluster":
                if (Product() != 1) throw Error("only clusters of one group are known");
                break;
            case ".explicitcluster" or ".noreturn": break;
            case ".pragma": Pragma(); break;
            default: throw Error($"'{directive}' is not known here");
        }
    }

    private long Product()
    {
        long product = Integer();
        while (TryTake(",")) product *= Integer();
        return product;
    }
}
