using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Which adapter each row of a batch is computed with (PEFT's <c>adapter_names</c>), made by <see cref="PeftModel.Rows"/>. It is a choice of one
/// computation: other requests to the same model, and the model's active adapters, know nothing of it.
/// <code>
/// AdapterRows rows = model.Rows("anna", PeftModel.BaseRow, "ben", "anna");
/// using (rows.Use()) logits = network.Forward(ids);      // [4, seq]: each row as with its own adapter alone
/// </code>
/// </summary>
/// <remarks>
/// The base product is made once for the whole batch and each adapter's branch for its rows alone, so that the result is that of the rows apart
/// but for the order of a sum; where all rows have the same adapter it is the same to the last bit. Of the active adapters none acts meanwhile.
/// </remarks>
public sealed class AdapterRows
{
    private static readonly AsyncLocal<Choice?> s_current = new();

    private readonly Dictionary<LinearAdapters, LinearAdapter?[]> _layers;
    private readonly Action _check;
    private readonly int[][] _rows;

    /// <param name="names">The adapter of each row; <see cref="PeftModel.BaseRow"/> for none.</param>
    /// <param name="layers">The layers of the model that compute so; others go on with their active adapters.</param>
    /// <param name="check">Throws where the model is in a state that rows cannot be computed in.</param>
    internal AdapterRows(IReadOnlyList<string> names, IEnumerable<LinearAdapters> layers, Action check)
    {
        Names = [.. names];
        _check = check;
        Groups = [.. Names.Distinct()];
        _rows = [.. Groups.Select(group => Enumerable.Range(0, Names.Count).Where(row => Names[row] == group).ToArray())];
        _layers = layers.ToDictionary(
            layer => layer,
            layer => Groups.Select(group => group != PeftModel.BaseRow && layer.Contains(group) ? layer[group] : null).ToArray());
    }

    /// <summary>The adapter of each row.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The different ones among them.</summary>
    internal string[] Groups { get; }

    /// <summary>
    /// Computes with these adapters until the result is disposed, in this flow of execution (across <c>await</c>, and in tasks started
    /// meanwhile) and in no other. Uses nest; the innermost for a model counts.
    /// </summary>
    public IDisposable Use() => new Choice(this);

    /// <summary>Everything that is chosen now, the innermost last: for <see cref="Restore"/>.</summary>
    internal static AdapterRows[] Chosen()
    {
        List<AdapterRows> rows = [];
        for (Choice? choice = s_current.Value; choice is not null; choice = choice.Outer)
            if (choice.Rows is { } chosen) rows.Add(chosen);
        rows.Reverse();
        return [.. rows];
    }

    /// <summary>Computes with these choices and no others until the result is disposed, whatever is chosen around it.</summary>
    internal static IDisposable Restore(AdapterRows[] rows) => new Restored(rows);

    /// <summary>The current choice for a layer; null where there is none.</summary>
    internal static AdapterRows? For(LinearAdapters layer)
    {
        for (Choice? choice = s_current.Value; choice is not null; choice = choice.Outer)
            if (choice.Rows is { } rows && rows._layers.ContainsKey(layer)) return rows;
        return null;
    }

    /// <summary>The adapter of each group in a layer; null where the group has none there.</summary>
    /// <exception cref="InvalidOperationException">An adapter was removed since, or the model cannot compute rows now.</exception>
    internal LinearAdapter?[] AdaptersOf(LinearAdapters layer)
    {
        _check();
        LinearAdapter?[] adapters = _layers[layer];
        for (int i = 0; i < adapters.Length; i++)
            if (adapters[i] is { } adapter && !(layer.Contains(Groups[i]) && layer[Groups[i]] == adapter))
                throw new InvalidOperationException($"The adapter '{Groups[i]}', which rows of this batch ask for, was removed.");
        return adapters;
    }

    /// <summary>The rows of a group, [rows, …].</summary>
    internal Tensor Take(Tensor x, int group) => Map(x, group, run => run);

    /// <summary>What a function makes of the rows of a group, of which it is given neighbours at a time.</summary>
    internal Tensor Map(Tensor x, int group, Func<Tensor, Tensor> function)
    {
        Tensor[] runs = [.. Runs().Where(run => run.Group == group).Select(run => function(x.Slice(run.Row, run.Count)))];
        return runs.Length == 1 ? runs[0] : Functions.Concat(0, runs);
    }

    /// <summary>The rows of all groups in the batch's order; a group without a tensor is filled with zeros.</summary>
    internal Tensor Assemble(Tensor?[] groups)
    {
        Tensor first = groups.First(group => group is not null)!;
        Tensor? zeros = null;
        List<Tensor> parts = [];
        foreach ((int group, int row, int start, int count) in Runs())
        {
            if (groups[group] is null)
                zeros ??= Tensor.Zeros(WithRows(first.Shape, Names.Count), first.DType, first.Device, "rows of the base model");
            parts.Add((groups[group] ?? zeros!).Slice(groups[group] is null ? row : start, count));
        }
        return Functions.Concat(0, [.. parts]);
    }

    /// <summary>A shape with another number of rows.</summary>
    internal static Shape WithRows(Shape shape, int rows) => new([rows, .. shape.Dims[1..]]);

    /// <summary>Neighbouring rows of one group: where they begin in the batch and within their group.</summary>
    private IEnumerable<(int Group, int Row, int Start, int Count)> Runs()
    {
        var taken = new int[Groups.Length];
        for (int row = 0, count; row < Names.Count; row += count)
        {
            count = 1;
            while (row + count < Names.Count && Names[row + count] == Names[row]) count++;
            int group = Array.IndexOf(Groups, Names[row]);
            yield return (group, row, taken[group], count);
            taken[group] += count;
        }
    }

    private sealed class Restored : IDisposable
    {
        private readonly Choice? _before = s_current.Value;

        internal Restored(AdapterRows[] rows)
        {
            s_current.Value = null;
            foreach (AdapterRows chosen in rows) _ = new Choice(chosen);
        }

        public void Dispose() => s_current.Value = _before;
    }

    /// <summary>One use. A flow that outlives it falls back to what was chosen around it.</summary>
    private sealed class Choice : IDisposable
    {
        private AdapterRows? _rows;

        internal Choice(AdapterRows rows)
        {
            (_rows, Outer) = (rows, s_current.Value);
            s_current.Value = this;
        }

        internal Choice? Outer { get; }

        internal AdapterRows? Rows => Volatile.Read(ref _rows);

        public void Dispose()
        {
            Volatile.Write(ref _rows, null);
            if (s_current.Value == this) s_current.Value = Outer;
        }
    }
}
