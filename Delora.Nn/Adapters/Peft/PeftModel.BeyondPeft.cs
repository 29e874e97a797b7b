namespace Delora.Nn;

/// <summary>What PEFT cannot read: DeLoRA on other modules than linear layers. LoRA it has on all of them.</summary>
public sealed partial class PeftModel
{
    /// <summary>The kinds of modules that an adapter can sit on here.</summary>
    private static readonly ModuleKind[] s_adaptable = [ModuleKind.Linear, ModuleKind.Conv1D, ModuleKind.Embedding];

    /// <summary>The kinds of modules that PEFT's DeLoRA refuses (PEFT: <c>DeloraModel._create_new_module</c>).</summary>
    private static bool IsBeyondPeft(AdapterConfig config, ModuleKind kind) => config is DeloraConfig && kind is not ModuleKind.Linear;

    private static void WarnBeyondPeft(AdapterPlan plan, Action<string>? warn)
    {
        string[] names = [.. plan.Layers.Where(entry => IsBeyondPeft(plan.Config, entry.Target.Kind)).Select(entry => entry.Target.Name)];
        if (names.Length == 0) return;
        IEnumerable<ModuleKind> kinds = plan.Layers.Select(entry => entry.Target.Kind).Where(kind => IsBeyondPeft(plan.Config, kind)).Distinct();
        warn?.Invoke($"{plan.Config.Source}: target_modules: {Names.List(names)}: PEFT has no DeLoRA on modules of the kind "
            + $"{string.Join(" or ", kinds)}; only Delora will read the saved adapter.");
    }

    /// <summary>The configuration with the kinds of modules that it is for Delora alone for.</summary>
    private AdapterConfig MarkBeyondPeft(string name, AdapterConfig config) => config is not DeloraConfig delora ? config : delora with
    {
        BeyondPeft = [.. Layers.Where(pair => pair.Layer.Adapters.Contains(name)).Select(pair => pair.Layer.Kind)
            .Where(kind => IsBeyondPeft(config, kind)).Distinct().Order().Select(kind => kind.ToString())],
    };
}
