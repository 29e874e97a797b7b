using System.Globalization;
using System.Text;

namespace Delora.Kernels.Ptx;

/// <summary>
/// Writes one kernel as a PTX text (NVIDIA, "Parallel Thread Execution ISA"). Loops of C# unroll; loops of the kernel are <see cref="For"/> and
/// <see cref="Loop"/>. Registers have the names that are given to them, and each scope declares its own, so that the text can be read.
/// </summary>
internal sealed partial class PtxWriter
{
    private static readonly string[] s_special =
        ["tid", "ntid", "laneid", "warpid", "nwarpid", "ctaid", "nctaid", "smid", "nsmid", "gridid", "clock", "pm", "envreg", "cluster", "dynamic_smem_size"];

    private readonly string _entry;
    private readonly string _target;
    private readonly string _version;
    private readonly int _threads;
    private readonly int _groupsPerProcessor;
    private readonly List<string> _about = [];
    private readonly List<string> _parameters = [];
    private readonly List<PtxShared> _shared = [];
    private readonly HashSet<string> _taken = [];
    private readonly Dictionary<string, int> _names = [];
    private readonly Dictionary<string, int> _labels = [];
    private PtxScope _scope = new(null, "");
    private PtxGuard? _guard;
    private B32? _sharedBase;
    private int _sharedBytes;
    private bool _isFinished;

    /// <summary>Begins a kernel.</summary>
    /// <param name="entry">The name of its entry.</param>
    /// <param name="threads">The most threads that a group has, in all.</param>
    /// <param name="groupsPerProcessor">Groups that are to fit on a multiprocessor at once, which limits the registers of a thread.</param>
    /// <param name="target">The architecture whose instructions are used; a later one runs it, too, unless it ends with <c>a</c>.</param>
    /// <param name="version">The PTX version that has these instructions.</param>
    internal PtxWriter(string entry, int threads, int groupsPerProcessor = 1, string target = "sm_80", string version = "7.4")
    {
        (_entry, _threads, _groupsPerProcessor, _target, _version) = (entry, threads, groupsPerProcessor, target, version);
    }

    /// <summary>The most threads that a group has.</summary>
    internal int Threads => _threads;

    /// <summary>Bytes of shared memory that were laid out until now.</summary>
    internal int SharedBytes => _sharedBytes;

    /// <summary>Adds a line to what stands above the kernel.</summary>
    internal void About(string line) => _about.Add(line);

    /// <summary>Writes a comment on a line of its own.</summary>
    internal void Comment(string text) => _scope.Add(new PtxLine(null, $"// {text}", []));

    /// <summary>A new register of a type, undefined until it is written.</summary>
    internal T New<T>(string name) where T : PtxRegister
    {
        PtxRegister register =
            typeof(T) == typeof(F32) ? new F32(this)
            : typeof(T) == typeof(B32) ? new B32(this)
            : typeof(T) == typeof(B64) ? new B64(this)
            : typeof(T) == typeof(B16) ? new B16(this)
            : new Pred(this);
        register.Name = Unique(name);
        _scope.Registers.Add(register);
        return (T)register;
    }

    /// <summary>New registers that unrolled code names by number.</summary>
    internal T[] New<T>(string name, int count) where T : PtxRegister
    {
        var registers = new T[count];
        for (int i = 0; i < count; i++) registers[i] = New<T>(string.Create(CultureInfo.InvariantCulture, $"{name}{i}"));
        return registers;
    }

    /// <summary>Gives a register another name.</summary>
    internal T Rename<T>(T register, string name) where T : PtxRegister
    {
        register.Name = Unique(name);
        return register;
    }

    /// <summary>Writes any instruction. What has a method of its own is easier to read with it.</summary>
    internal void Emit(string instruction, params ReadOnlySpan<PtxOperand> operands) =>
        _scope.Add(new PtxLine(_guard, instruction, operands.ToArray()));

    /// <summary>Writes any instruction whose first operand is a new register, and gives that back.</summary>
    internal T Result<T>(string instruction, params ReadOnlySpan<PtxOperand> operands) where T : PtxRegister
    {
        // The name of the instruction until the register gets one of its own.
        T result = New<T>(typeof(T) == typeof(Pred) ? "p" : instruction[..Math.Max(1, instruction.IndexOf('.', StringComparison.Ordinal))]);
        Emit(instruction, [result, .. operands]);
        return result;
    }

    /// <summary>A part of the text in braces, with registers of its own, and what it does above it.</summary>
    internal PtxEnd Scope(string comment)
    {
        PtxScope outer = _scope;
        _scope = new PtxScope(outer, comment);
        return new(() =>
        {
            outer.Add(_scope);
            _scope = outer;
        });
    }

    /// <summary>Instructions each of which is executed only under a condition, without a branch.</summary>
    internal PtxEnd When(PtxGuard guard)
    {
        if (_guard is not null) throw new InvalidOperationException($"{_entry}: instructions are under {_guard} already; combine the predicates.");
        _guard = guard;
        return new(() => _guard = null);
    }

    /// <summary>A part that is jumped over unless a condition holds.</summary>
    internal PtxEnd If(PtxGuard guard, string label)
    {
        PtxLabel end = Label($"after_{label}");
        Branch(end, !guard);
        return new(() => Place(end));
    }

    /// <summary>A new label; <see cref="Place"/> says where it is.</summary>
    internal PtxLabel Label(string name)
    {
        int number = _labels[name] = _labels.GetValueOrDefault(name) + 1;
        return new(string.Create(CultureInfo.InvariantCulture, $"{name.ToUpperInvariant()}{(number == 1 ? "" : $"_{number}")}"));
    }

    /// <summary>Puts a label here.</summary>
    internal void Place(PtxLabel label) => _scope.Add(new PtxLine(null, $"{label.Name}:", []));

    /// <summary>Jumps to a label, if a condition is given only where it holds.</summary>
    internal void Branch(PtxLabel label, PtxGuard? guard = null) => _scope.Add(new PtxLine(guard ?? _guard, "bra", [label]));

    /// <summary>for (index = 0; index &lt; count; index++) { body }, checked before the first round.</summary>
    internal void For(string name, B32 count, Action<B32> body)
    {
        B32 index = New<B32>(name);
        PtxLabel end = Label($"end_{name}"), again = Label($"loop_{name}");
        Set(index, 0);
        Branch(end, count <= 0);
        Place(again);
        body(index);
        Emit("add.s32", index, index, 1);
        Branch(again, index < count);
        Place(end);
    }

    /// <summary>do { body } while (condition): the body gives the condition back.</summary>
    internal void Loop(string name, Func<PtxGuard> body)
    {
        PtxLabel again = Label($"loop_{name}");
        Place(again);
        Branch(again, body());
    }

    /// <summary>Ends the entry and gives its text.</summary>
    internal PtxText Finish()
    {
        if (_scope.Outer is not null || _guard is not null || _isFinished)
            throw new InvalidOperationException($"{_entry}: a scope is open, or it is finished.");
        _isFinished = true;
        Emit("ret");
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $".version {_version}\n.target {_target}\n.address_size 64\n\n");
        if (_sharedBytes > 0) text.Append(CultureInfo.InvariantCulture, $".extern .shared .align {SharedAlignment} .b8 {SharedName}[];\n\n");
        foreach (string line in _about) text.Append(CultureInfo.InvariantCulture, $"// {line}\n");
        text.Append(CultureInfo.InvariantCulture, $".visible .entry {_entry}(\n");
        text.AppendJoin(",\n", _parameters.Select(parameter => $"    .param {parameter}"));
        text.Append(CultureInfo.InvariantCulture, $")\n.maxntid {_threads}, 1, 1\n.minnctapersm {_groupsPerProcessor}\n");
        _scope.Write(text, 0);
        return new(_entry, text.ToString(), _threads, _sharedBytes);
    }

    private string Unique(string name)
    {
        int number = _names.GetValueOrDefault(name);
        string unique;
        do
        {
            number++;
            unique = string.Create(CultureInfo.InvariantCulture, $"{name}{(number == 1 ? "" : $"_{number}")}");
        }
        while (s_special.Contains(unique) || !_taken.Add(unique));
        _names[name] = number;
        return unique;
    }
}

/// <summary>Ends what was begun, at the end of a <c>using</c>.</summary>
internal readonly struct PtxEnd(Action end) : IDisposable
{
    public void Dispose() => end();
}
