using System.Reflection;
using System.Text.Json.Nodes;
using Delora.Core;
using Delora.Nn;
using static Delora.Tests.Golden.Experiment;

namespace Delora.Tests.Golden;

/// <summary>Activating, deleting, merging.</summary>
internal static partial class Experiments
{
    private static IEnumerable<KeyValuePair<string, Func<Experiment, JsonNode?>>> States() =>
    [
        new("set_adapter unknown", x =>
        {
            x.Wrap("{}").Activate(x.Spelt("set_adapter("));
            return null;
        }),
        new("tuner-level set_adapter unknown", x =>
        {
            PeftModel model = x.Wrap("{}");
            float[] plain = x.BaseForward(model);
            foreach ((_, IAdaptedLayer layer) in model.AdaptedLayers) layer.Adapters.Activate(x.Spelt("set_adapter("));
            return x.Forward(model).SequenceEqual(plain);
        }),
        new("delete_adapter unknown", x =>
        {
            x.Wrap("{}").Delete(x.Spelt("delete_adapter("));
            return null;
        }),
        new("delete the only adapter", x =>
        {
            // A layer carries its adapters here; nothing wraps it.
            x.WithoutCounterpart.Add("layers_still_wrapped");
            PeftModel model = Emptied(x);
            return new JsonObject { ["adapters"] = Names(model.Configs.Keys), ["active"] = Names(model.ActiveAdapters) };
        }),
        new("forward after deleting the only adapter", x =>
        {
            // PEFT's forward asks for this; a model computes by itself here, and is the base model then.
            _ = Emptied(x).ActiveConfig;
            return null;
        }),
        new("tuner forward after deleting the only adapter", x =>
        {
            PeftModel model = x.Wrap("{}");
            float[] plain = x.BaseForward(model);
            model.Delete(Default);
            return x.Forward(model).SequenceEqual(plain);
        }),
        new("delete the active adapter", x =>
        {
            PeftModel model = x.WrapTwo();
            model.Delete(Default);
            return new JsonObject
            {
                ["adapters"] = Names(model.Configs.Keys), ["active"] = Names(model.ActiveAdapters), ["trainable"] = Trainable(model),
            };
        }),
        new("delete a merged adapter", x =>
        {
            PeftModel model = x.WrapTwo();
            model.Merge([Default]);
            model.Delete(Default);
            return null;
        }),
        new("active adapter after add_adapter", x =>
        {
            PeftModel model = x.Wrap("{}");
            Added(x, model, "{}", "b");
            return new JsonObject { ["active"] = Names(model.ActiveAdapters), ["trainable"] = Trainable(model) };
        }),
        new("two active adapters, trainable", x =>
        {
            PeftModel model = x.WrapTwo();
            model.Activate(Default, "b");
            return Names(model.TrainableParameters().Select(entry => entry.Name).Order(StringComparer.Ordinal));
        }),
        new("get_delta_weight unknown adapter", x =>
        {
            x.Wrap("{}").AdaptedLayers.First().Layer.Adapters.DeltaWeight(x.Spelt("get_delta_weight("));
            return null;
        }),
    ];

    private static PeftModel Emptied(Experiment x)
    {
        PeftModel model = x.Wrap("{}");
        model.Delete(Default);
        return model;
    }

    private static IEnumerable<KeyValuePair<string, Func<Experiment, JsonNode?>>> Merging() =>
    [
        new("merge twice", x =>
        {
            PeftModel model = x.Wrap("{}");
            model.Merge();
            model.Merge();
            return Names(model.MergedAdapters);
        }),
        new("unmerge when not merged", x =>
        {
            x.Wrap("{}").Unmerge();
            return null;
        }),
        new("safe merge with NaN", x =>
        {
            Poisoned(x, float.NaN).Merge(safe: true);
            return null;
        }),
        new("unsafe merge with inf", x =>
        {
            PeftModel model = Poisoned(x, float.PositiveInfinity);
            model.Merge();
            return new JsonObject { ["merged"] = Names(model.MergedAdapters), ["weight_finite"] = WeightsAreFinite(model) };
        }),
        new("merge with a plain string", _ =>
        {
            foreach (MethodInfo method in typeof(PeftModel).GetMethods().Where(method => method.Name == nameof(PeftModel.Merge)))
                Assert.False(method.GetParameters()[0].ParameterType.IsAssignableFrom(typeof(string)));
            throw new RefusedByCompilerException("a text is no sequence of texts");
        }),
        new("merge unknown adapter", x =>
        {
            PeftModel model = x.Wrap("{}");
            model.Merge(["ghost"]);
            return Names(model.MergedAdapters);
        }),
        new("set_adapter while merged", x =>
        {
            PeftModel model = x.WrapTwo();
            model.Merge();
            model.Activate("b");
            return Names(model.MergedAdapters);
        }),
        new("disable_adapter while merged", x =>
        {
            PeftModel model = x.Wrap("{}");
            float[] before = Weights(model);
            model.Merge();
            string[] inside;
            using (model.Disable())
            {
                x.Forward(model);
                inside = [.. model.MergedAdapters];
            }
            return new JsonObject
            {
                ["merged_inside_disable_after_forward"] = Names(inside),
                ["merged_after"] = Names(model.MergedAdapters),
                ["weight_back_within_1e-6"] = Weights(model).Zip(before).All(pair => Math.Abs(pair.First - pair.Second) <= 1e-6),
            };
        }),
        new("save while merged", x =>
        {
            PeftModel model = x.Wrap("{}");
            model.Merge();
            model.Save(x.Folder.Path);
            return SavedKeys(x.Folder.Path);
        }),
    ];

    private static PeftModel Poisoned(Experiment x, float value)
    {
        PeftModel model = x.Wrap("{}");
        Tensor a = AdapterOf(model, x.First).A.Value;
        float[] values = a.ToArray<float>();
        values[0] = value;
        a.CopyFrom<float>(values);
        return model;
    }

    private static float[] Weights(PeftModel model)
    {
        using var scope = new TensorScope();
        return [.. model.Base.NamedState().SelectMany(entry => entry.State.Read().ToArray<float>())];
    }

    private static JsonNode SavedKeys(string folder)
    {
        using SafetensorsFile file = PeftModel.OpenWeights(folder);
        return Names(file.Entries.Select(entry => entry.Name).Order(StringComparer.Ordinal));
    }
}
