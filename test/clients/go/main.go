// Trains a model and samples from it: client TRAINER_ADDRESS SAMPLER_ADDRESS FOLDER_OF_IMAGES
//
// The trainer reads the folder, so it must be one of the trainer's machine. Prints one line of JSON.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	measurev1 "ipdiffusion/measure/v1"
	samplerv1 "ipdiffusion/sampler/v1"
	trainerv1 "ipdiffusion/trainer/v1"
	typesv1 "ipdiffusion/types/v1"
)

type training struct {
	Job         string   `json:"job"`
	RepeatedJob string   `json:"repeatedJob"`
	Model       string   `json:"model"`
	State       string   `json:"state"`
	States      []string `json:"states"`
	Checkpoints []uint32 `json:"checkpoints"`
}

type refusal struct {
	Code   uint32   `json:"code"`
	Reason string   `json:"reason"`
	Domain string   `json:"domain"`
	Fields []string `json:"fields"`
}

type model struct {
	Name  string   `json:"name"`
	Steps []uint32 `json:"steps"`
}

type checkpoint struct {
	Step   uint32 `json:"step"`
	Sha256 string `json:"sha256"`
}

type measurement struct {
	State  string  `json:"state"`
	Inputs string  `json:"inputs"`
	Bits   float64 `json:"bits"`
}

type found struct {
	training
	Refusal     refusal     `json:"refusal"`
	Models      []model     `json:"models"`
	Checkpoint  checkpoint  `json:"checkpoint"`
	Images      []string    `json:"images"`
	Latents     []string    `json:"latents"`
	Measurement measurement `json:"measurement"`
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: client TRAINER_ADDRESS SAMPLER_ADDRESS FOLDER_OF_IMAGES")
	}
	result, err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, trainerAddress, samplerAddress, folder string) (*found, error) {
	withoutTLS := grpc.WithTransportCredentials(insecure.NewCredentials())
	trainerConn, err := grpc.NewClient(trainerAddress, withoutTLS)
	if err != nil {
		return nil, err
	}
	defer trainerConn.Close()
	samplerConn, err := grpc.NewClient(samplerAddress, withoutTLS)
	if err != nil {
		return nil, err
	}
	defer samplerConn.Close()
	trainer := trainerv1.NewTrainerServiceClient(trainerConn)
	sampler := samplerv1.NewSamplerServiceClient(samplerConn)

	result := &found{}
	if result.training, err = train(ctx, trainer, folder); err != nil {
		return nil, err
	}
	if result.Refusal, err = refused(ctx, trainer, folder); err != nil {
		return nil, err
	}
	listed, err := sampler.ListModels(ctx, &samplerv1.ListModelsRequest{NamePrefix: result.Model})
	if err != nil {
		return nil, err
	}
	for _, each := range listed.GetModels() {
		result.Models = append(result.Models, model{each.GetName(), each.GetCheckpointSteps()})
	}
	newest, err := sampler.GetCheckpoint(ctx, &samplerv1.GetCheckpointRequest{Model: result.Model})
	if err != nil {
		return nil, err
	}
	result.Checkpoint = checkpoint{newest.GetCheckpoint().GetStep(), newest.GetCheckpoint().GetManifestSha256()}
	if result.Images, err = generate(ctx, sampler, result.Model); err != nil {
		return nil, err
	}
	if result.Latents, err = encode(ctx, sampler, result.Model, folder); err != nil {
		return nil, err
	}
	result.Measurement, err = measured(ctx, measurev1.NewMeasureServiceClient(samplerConn), result.Model)
	return result, err
}

// tinyRecipe trains in seconds. What is left unset is taken from the default preset.
func tinyRecipe(folder string, steps uint32) *typesv1.TrainingRecipe {
	return &typesv1.TrainingRecipe{
		Dataset: &typesv1.Dataset{
			Source:    &typesv1.Dataset_Folder{Folder: &typesv1.FolderSource{Path: folder}},
			ImageSize: proto.Uint32(8),
		},
		Architecture: &typesv1.UNetArchitecture{
			ModelChannels:   proto.Uint32(32),
			NumResBlocks:    proto.Uint32(1),
			ChannelMult:     []uint32{1},
			NumHeadChannels: proto.Uint32(32),
		},
		Training: &typesv1.TrainingSettings{
			Steps:                proto.Uint32(steps),
			BatchSize:            proto.Uint32(4),
			CheckpointEverySteps: proto.Uint32(2),
			SampleEverySteps:     proto.Uint32(0),
		},
		Evaluation: &typesv1.EvaluationSettings{Images: proto.Uint32(0), EverySteps: proto.Uint32(0)},
	}
}

// train creates a job and watches it to its end.
func train(ctx context.Context, trainer trainerv1.TrainerServiceClient, folder string) (training, error) {
	var result training
	request := &trainerv1.CreateTrainingJobRequest{Recipe: tinyRecipe(folder, 4), RequestId: rand.Text()}
	created, err := trainer.CreateTrainingJob(ctx, request)
	if err != nil {
		return result, err
	}
	// With the same request_id, a call that is sent again creates no second job.
	repeated, err := trainer.CreateTrainingJob(ctx, request)
	if err != nil {
		return result, err
	}
	result.Job, result.RepeatedJob = created.GetJob().GetJobId(), repeated.GetJob().GetJobId()
	result.Model = created.GetJob().GetModel()
	stream, err := trainer.WatchTrainingJob(ctx, &trainerv1.WatchTrainingJobRequest{JobId: result.Job})
	if err != nil {
		return result, err
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return result, err
		}
		switch event := message.GetEvent().(type) {
		case *trainerv1.WatchTrainingJobResponse_StateChanged:
			result.States = append(result.States, event.StateChanged.GetState().String())
		case *trainerv1.WatchTrainingJobResponse_CheckpointCommitted:
			result.Checkpoints = append(result.Checkpoints, event.CheckpointCommitted.GetStep())
		case *trainerv1.WatchTrainingJobResponse_Terminal:
			result.State = event.Terminal.GetState().String()
		}
	}
}

// refused returns what the trainer says to a recipe without steps.
func refused(ctx context.Context, trainer trainerv1.TrainerServiceClient, folder string) (refusal, error) {
	_, err := trainer.CreateTrainingJob(ctx, &trainerv1.CreateTrainingJobRequest{Recipe: tinyRecipe(folder, 0)})
	if err == nil {
		return refusal{}, errors.New("wanted a refusal; the recipe was taken")
	}
	refused := status.Convert(err)
	result := refusal{Code: uint32(refused.Code())}
	for _, detail := range refused.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			result.Reason, result.Domain = detail.GetReason(), detail.GetDomain()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				result.Fields = append(result.Fields, violation.GetField())
			}
		}
	}
	return result, nil
}

// generate samples two images and returns the SHA-256 of each.
func generate(ctx context.Context, sampler samplerv1.SamplerServiceClient, model string) ([]string, error) {
	stream, err := sampler.Generate(ctx, &samplerv1.GenerateRequest{
		Images: &samplerv1.GenerateRequest_NewImages{NewImages: &samplerv1.NewImages{
			Model:    model,
			Count:    2,
			Seed:     math.MaxUint64,
			Settings: twoSteps(),
			Format:   typesv1.ImageFormat_IMAGE_FORMAT_RAW_FLOAT32,
		}},
	})
	if err != nil {
		return nil, err
	}
	images := assembly{}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return images.digests()
		}
		if err != nil {
			return nil, err
		}
		if image := message.GetImage(); image != nil {
			images[image.GetIndex()] = append(images[image.GetIndex()], image.GetChunk())
		}
	}
}

// encode encodes the first image of the folder and returns the SHA-256 of its latent.
func encode(ctx context.Context, sampler samplerv1.SamplerServiceClient, model, folder string) ([]string, error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no images", folder)
	}
	picture, err := os.ReadFile(filepath.Join(folder, files[0].Name()))
	if err != nil {
		return nil, err
	}
	request := &samplerv1.EncodeRequest{Model: model, Images: [][]byte{picture}, Settings: twoSteps()}
	stream, err := sampler.Encode(ctx, request)
	if err != nil {
		return nil, err
	}
	latents := assembly{}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return latents.digests()
		}
		if err != nil {
			return nil, err
		}
		if latent := message.GetLatent(); latent != nil {
			latents[latent.GetIndex()] = append(latents[latent.GetIndex()], latent.GetChunk())
		}
	}
}

// measured returns the bits per dimension of one training image, in a bound of two steps.
func measured(ctx context.Context, measure measurev1.MeasureServiceClient, model string) (measurement, error) {
	var result measurement
	created, err := measure.CreateMeasurement(ctx, &measurev1.CreateMeasurementRequest{
		Spec: &measurev1.MeasurementSpec{
			Model:  model,
			Images: 1,
			Seed:   math.MaxUint64,
			Kind: &measurev1.MeasurementSpec_Likelihood{
				Likelihood: &measurev1.LikelihoodSpec{Steps: proto.Uint32(2)},
			},
		},
		RequestId: rand.Text(),
	})
	if err != nil {
		return result, err
	}
	id := created.GetMeasurement().GetMeasurementId()
	watch, err := measure.WatchMeasurement(ctx, &measurev1.WatchMeasurementRequest{MeasurementId: id})
	if err != nil {
		return result, err
	}
	for {
		message, err := watch.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return result, err
		}
		if ended := message.GetTerminal(); ended != nil {
			result.State = ended.GetState().String()
		}
	}
	parts, err := measure.GetMeasurementResult(ctx, &measurev1.GetMeasurementResultRequest{MeasurementId: id})
	if err != nil {
		return result, err
	}
	for {
		part, err := parts.Recv()
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return result, err
		}
		if contract := part.GetContract(); contract != nil {
			result.Inputs = contract.GetInputsSha256()
		}
		if found := part.GetResult().GetFindings(); len(found) > 0 {
			result.Bits = found[0].GetValue()
		}
	}
}

func twoSteps() *typesv1.SamplerSettings {
	return &typesv1.SamplerSettings{Timesteps: &typesv1.SamplerSettings_Steps{Steps: 2}}
}

// assembly has the chunks of each image by its index, in the order in which they came.
type assembly map[uint32][]*typesv1.ImageChunk

// digests checks all images, and returns the SHA-256 of each. The bytes are little-endian float32.
func (a assembly) digests() ([]string, error) {
	digests := make([]string, len(a))
	for index, chunks := range a {
		var image bytes.Buffer
		for _, chunk := range chunks {
			if chunk.GetOffsetBytes() != uint64(image.Len()) {
				return nil, fmt.Errorf("wanted bytes from %d; got them from %d", image.Len(), chunk.GetOffsetBytes())
			}
			image.Write(chunk.GetData())
		}
		sum := sha256.Sum256(image.Bytes())
		digest := hex.EncodeToString(sum[:])
		if wanted := chunks[0]; uint64(image.Len()) != wanted.GetTotalSizeBytes() || digest != wanted.GetSha256() {
			return nil, fmt.Errorf("wanted %d bytes of SHA-256 %s; got %d of %s",
				wanted.GetTotalSizeBytes(), wanted.GetSha256(), image.Len(), digest)
		}
		digests[index] = digest
	}
	return digests, nil
}
